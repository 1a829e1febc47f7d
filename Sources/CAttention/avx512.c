// The kernel for AVX-512.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#define LANES 16
#define HALF_IS_NATIVE
#include "kernel.h"

void attention_compute_avx512(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    compute(batch, vectors, thread, threads);
}
#pragma clang attribute pop
#endif
