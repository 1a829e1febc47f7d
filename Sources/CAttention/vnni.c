// The kernel for AVX-512 with VNNI; prompts have none of their own.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#define LANES 16
#define HALF_IS_NATIVE
#define HAS_WHOLE_NUMBERS
#define HAS_BYTE_PRODUCTS
#include "kernel.h"
#include "level.h"

void attention_compute_vnni(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    compute(batch, vectors, thread, threads);
}
#pragma clang attribute pop
#endif
