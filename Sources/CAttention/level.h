// What files define that compile the kernels for some instructions: tables of functions.
#pragma once

#include "include/CAttention.h"
#include "include/Products.h"
#include "include/PromptAttention.h"
#include "include/Recurrence.h"
#include "turn_room.h"
#include "workspace.h"

/// What products of bytes make faster.
struct step_functions {
    void (*compute)(const struct attention_batch *, const struct attention_vectors *, int32_t thread, int32_t threads);
    /// These two are NULL without such products.
    void (*round_vectors)(
        const struct product_vectors *, struct query_block *to, int32_t thread, int32_t threads);
    void (*multiply_vectors)(
        const struct product_matrix *, const struct query_block *, int64_t count, float *output, int32_t thread,
        int32_t threads);
};

/// What they do not: levels with them have the functions of those without.
struct attention_functions {
    void (*attend_prompt)(const struct attention_prompt *, float *output, int32_t thread, int32_t threads);
    void (*receive_prompt)(const struct attention_prompt *, float *sums, int32_t thread, int32_t threads);
    void (*repeat_prompt)(const struct attention_prompt *, float *output, int32_t thread, int32_t threads);
    void (*learn)(const struct recurrent_batch *, const struct recurrent_delta *, int32_t thread, int32_t threads);
    void (*turn_rows)(
        enum attention_type, const struct attention_rotation *, int dimension, char *rows, const struct attention_turn *,
        int count, struct turn_room);
    void (*recount)(struct recounted, int count);
};

/// The functions of a level that the machine can do.
const struct step_functions *steps_of(enum attention_level level);
const struct attention_functions *functions_of(enum attention_level level);

extern const struct attention_functions attention_functions_plain;
extern const struct step_functions attention_steps_plain;
#if defined(__x86_64__)
extern const struct attention_functions attention_functions_avx2, attention_functions_avx512;
extern const struct step_functions attention_steps_avx2, attention_steps_avx_vnni, attention_steps_avx512,
    attention_steps_vnni;
#endif
