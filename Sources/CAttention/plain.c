// The kernels for what every machine of an architecture has: NEON or SSE2.
#define LANES 4
#include "kernel.h"
#include "level.h"
#include "prompt.h"
#include "prompt_repeat.h"
#include "recount.h"
#include "recurrence.h"

const struct step_functions attention_steps_plain = {compute, NULL, NULL};
const struct attention_functions attention_functions_plain = {
    attend_prompt, receive_prompt, repeat_prompt, learn, turn_rows, recount};
