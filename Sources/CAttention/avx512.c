// The kernels for AVX-512.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#define LANES 16
#define HALF_IS_NATIVE
#include "kernel.h"
#include "level.h"
#include "prompt.h"
#include "prompt_repeat.h"
#include "recount.h"
#include "recurrence.h"

const struct step_functions attention_steps_avx512 = {compute, NULL, NULL};
const struct attention_functions attention_functions_avx512 = {
    attend_prompt, receive_prompt, repeat_prompt, learn, turn_rows, recount};
#pragma clang attribute pop
#endif
