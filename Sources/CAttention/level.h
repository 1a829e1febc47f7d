// What a file defines that compiles the kernels for some instructions: one table of functions.
#pragma once

#include "include/CAttention.h"
#include "include/PromptAttention.h"
#include "include/Recurrence.h"
#include "turn_room.h"

struct attention_functions {
    void (*compute)(const struct attention_batch *, const struct attention_vectors *, int32_t thread, int32_t threads);
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
const struct attention_functions *functions_of(enum attention_level level);

extern const struct attention_functions attention_functions_plain;
#if defined(__x86_64__)
extern const struct attention_functions attention_functions_avx2, attention_functions_avx512;

/// ATTENTION_VNNI is like ATTENTION_AVX512 but for this.
void attention_compute_vnni(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads);
/// ATTENTION_AVX_VNNI is like ATTENTION_AVX2 but for this.
void attention_compute_avx_vnni(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads);
#endif
