// The kernel for AVX-512 with VNNI; prompts have none of their own.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#define LANES 16
#define HALF_IS_NATIVE
#define HAS_WHOLE_NUMBERS
#define HAS_BYTE_PRODUCTS
#include "kernel.h"
#include "level.h"
#include "products.h"

const struct step_functions attention_steps_vnni = {compute, round_vectors, multiply_vectors};
#pragma clang attribute pop
#endif
