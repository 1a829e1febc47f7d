// The kernel for AVX2 with AVX-VNNI; prompts have none of their own.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#define LANES 8
#define HALF_IS_NATIVE
#define HAS_WHOLE_NUMBERS
#define HAS_BYTE_PRODUCTS
#include "kernel.h"
#include "level.h"
#include "products.h"

const struct step_functions attention_steps_avx_vnni = {compute, round_vectors, multiply_vectors};
#pragma clang attribute pop
#endif
