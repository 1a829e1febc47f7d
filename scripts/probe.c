// Asks a copy of llama.cpp for what the package needs of it: every header and function has to be there, and a small graph
// has to be computed as it should. scripts/bootstrap compiles and runs it; it prints ggml's version.
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <gguf.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>

static int fail(const char * what) {
    fprintf(stderr, "probe: %s\n", what);
    return 1;
}

/// Rows 1 and 0 of a matrix are written in this order into another one, which is then multiplied with itself.
static int compute(ggml_backend_t backend) {
    struct ggml_init_params params = {.mem_size = 1 << 20, .no_alloc = true};
    struct ggml_context * context = ggml_init(params);
    struct ggml_tensor * target = ggml_new_tensor_2d(context, GGML_TYPE_F32, 32, 2);
    struct ggml_tensor * rows = ggml_new_tensor_2d(context, GGML_TYPE_F32, 32, 2);
    struct ggml_tensor * order = ggml_new_tensor_1d(context, GGML_TYPE_I64, 2);
    struct ggml_tensor * written = ggml_set_rows(context, target, rows, order);
    struct ggml_tensor * product = ggml_mul_mat(context, written, written);
    ggml_prec_set_acc(product, GGML_PREC_F32);
    struct ggml_cgraph * graph = ggml_new_graph(context);
    ggml_build_forward_expand(graph, product);
    ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors(context, backend);
    if (!buffer) return fail("ggml has no memory");
    float values[64], result[4];
    for (int i = 0; i < 64; i++) values[i] = i < 32 ? 1 : 2;
    const int64_t places[2] = {1, 0};
    ggml_backend_tensor_set(rows, values, 0, sizeof values);
    ggml_backend_tensor_set(order, places, 0, sizeof places);
    if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) return fail("ggml cannot compute");
    ggml_backend_tensor_get(product, result, 0, sizeof result);
    const float expected[4] = {128, 64, 64, 32};
    for (int i = 0; i < 4; i++)
        if (fabsf(result[i] - expected[i]) > 1e-3f) return fail("ggml computes something else");
    ggml_backend_buffer_free(buffer);
    ggml_free(context);
    return 0;
}

int main(void) {
    ggml_backend_load_all();
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (!device) return fail("ggml has no CPU backend");
    ggml_backend_t backend = ggml_backend_dev_init(device, NULL);
    if (!backend || compute(backend)) return fail("the CPU backend does not work");
    ggml_backend_free(backend);
    // Of these it is enough that they are there: what they take is compared with the headers by the compiler.
    if (!(ggml_flash_attn_ext && ggml_gallocr_new && gguf_init_from_buffer && llama_sampler_apply
          && llama_chat_apply_template && ggml_custom_4d))
        return fail("a function is missing");
    // Headers of one version and a library of another one disagree about parameters first.
    struct llama_model_params model = llama_model_default_params();
    if (!model.use_extra_bufts || model.vocab_only) return fail("libllama is not of the version of its headers");
    printf("%s\n", ggml_version());
    return 0;
}
