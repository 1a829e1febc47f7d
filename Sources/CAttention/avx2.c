// The kernels for AVX2, FMA and F16C.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define LANES 8
#define HALF_IS_NATIVE
#define HAS_WHOLE_NUMBERS
#include "kernel.h"
#include "level.h"
#include "prompt.h"
#include "prompt_repeat.h"
#include "recount.h"
#include "recurrence.h"

const struct step_functions attention_steps_avx2 = {compute, NULL, NULL};
const struct attention_functions attention_functions_avx2 = {
    attend_prompt, receive_prompt, repeat_prompt, learn, turn_rows, recount};
#pragma clang attribute pop
#endif
