// The kernel for AVX2 with AVX-VNNI; prompts have none of their own.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#define LANES 8
#define HALF_IS_NATIVE
#define HAS_WHOLE_NUMBERS
#define HAS_BYTE_PRODUCTS
#include "kernel.h"
#include "level.h"

void attention_compute_avx_vnni(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    compute(batch, vectors, thread, threads);
}
#pragma clang attribute pop
#endif
