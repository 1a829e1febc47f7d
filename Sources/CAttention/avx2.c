// The kernel for AVX2, FMA and F16C.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define LANES 8
#define HALF_IS_NATIVE
#include "kernel.h"

void attention_compute_avx2(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    compute(batch, vectors, thread, threads);
}
#pragma clang attribute pop
#endif
