// Which kernel runs, and how much memory it needs.
#include "include/CAttention.h"
#include "workspace.h"

#define DECLARE(name) void name(const struct attention_batch *, const struct attention_vectors *, int32_t, int32_t)
DECLARE(attention_compute_plain);
#if defined(__x86_64__)
DECLARE(attention_compute_avx2);
DECLARE(attention_compute_avx512);
#endif

enum attention_level attention_best_level(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return ATTENTION_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        return ATTENTION_AVX2;
#endif
    return ATTENTION_PLAIN;
}

void attention_compute(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    switch (batch->level) {
#if defined(__x86_64__)
    case ATTENTION_AVX512: attention_compute_avx512(batch, vectors, thread, threads); return;
    case ATTENTION_AVX2: attention_compute_avx2(batch, vectors, thread, threads); return;
#else
    case ATTENTION_AVX512:
    case ATTENTION_AVX2:
#endif
    case ATTENTION_PLAIN: attention_compute_plain(batch, vectors, thread, threads); return;
    }
}

int32_t attention_padded(int32_t dimension) { return (int32_t)padded_row(dimension); }

size_t attention_workspace(int32_t dimension, int32_t group, int64_t visible) {
    return workspace_at(NULL, dimension, group, largest_workspace_stride((size_t)visible)).floats;
}
