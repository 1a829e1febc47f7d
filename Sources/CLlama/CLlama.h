// The headers of llama.cpp, which pkg-config finds by the file that scripts/bootstrap writes.
#if !__has_include(<llama.h>)
#error "llama.cpp was not found. In a package that depends on swift-morphkv run: export PKG_CONFIG_PATH=$(.build/checkouts/swift-morphkv/scripts/bootstrap --pkg-config-path) and build again (docs/library.md). In a clone of swift-morphkv: make build"
#else
#include <gguf.h>
#include <ggml.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#if __has_include(<ggml-rpc.h>)
#include <ggml-rpc.h>
#else
#define RPC_PROTO_MAJOR_VERSION 0
#endif
#include <llama.h>

/// An instruction set that ggml was compiled for and that this processor does not have, which would end the process at the
/// first such instruction; NULL if there is none. May be called before ggml is.
static inline const char *missing_instruction_set(void) {
#if defined(__x86_64__)
    if (ggml_cpu_has_avx() && !__builtin_cpu_supports("avx")) return "AVX";
    if (ggml_cpu_has_avx2() && !__builtin_cpu_supports("avx2")) return "AVX2";
    if (ggml_cpu_has_fma() && !__builtin_cpu_supports("fma")) return "FMA";
    if (ggml_cpu_has_f16c() && !__builtin_cpu_supports("f16c")) return "F16C";
    if (ggml_cpu_has_bmi2() && !__builtin_cpu_supports("bmi2")) return "BMI2";
    if (ggml_cpu_has_avx512() && !__builtin_cpu_supports("avx512f")) return "AVX-512";
    if (ggml_cpu_has_avx512_vbmi() && !__builtin_cpu_supports("avx512vbmi")) return "AVX-512 VBMI";
    if (ggml_cpu_has_avx512_vnni() && !__builtin_cpu_supports("avx512vnni")) return "AVX-512 VNNI";
    if (ggml_cpu_has_avx512_bf16() && !__builtin_cpu_supports("avx512bf16")) return "AVX-512 BF16";
#endif
    return NULL;
}
#endif
