// The gated delta rule and state spaces, for whichever instructions the including file is compiled for.
#pragma once

#include "include/Recurrence.h"
#include "simd.h"

INLINE float dot_part(const float *a, const float *b, int size) {
    vf sum = splat(0);
    for (int i = 0; i < size; i += LANES) sum += load_part(a + i, size - i, 0) * load_part(b + i, size - i, 0);
    return sum_lanes(sum);
}

/// Takes a row of a head's memory, which answers for one number of the values, through all tokens of a run.
INLINE void learn_row(const struct recurrent_delta *w, const struct recurrent_run *run, int head, int row, float scale) {
    const int size = w->key_size;
    const int key_head = w->groups_heads ? head / (w->heads / w->key_heads) : head % w->key_heads;
    float *memory = run->memory + ((size_t)head * w->size + row) * size;
    for (int32_t token = 0; token < run->columns; token++) {
        const size_t column = (size_t)run->column + token;
        const size_t at = (column * w->key_heads + key_head) * size;
        const float *query = w->query + at, *key = w->key + at;
        const float kept = w->decay[column * w->heads + head];
        const float value = w->value[column * w->value_stride + (size_t)head * w->size + row];
        const float known = w->corrects ? dot_part(memory, key, size) * kept : 0;
        const float learned = (value - known) * w->rate[column * w->heads + head];
        vf sum = splat(0);
        for (int i = 0; i < size; i += LANES) {
            vf new = load_part(memory + i, size - i, 0) * kept + load_part(key + i, size - i, 0) * learned;
            store_part(new, memory + i, size - i);
            sum += new * load_part(query + i, size - i, 0);
        }
        w->output[(column * w->heads + head) * w->size + row] = sum_lanes(sum) * scale;
    }
}

static void learn(
    const struct recurrent_batch *batch, const struct recurrent_delta *w, int32_t thread, int32_t threads
) {
    const float scale = w->corrects ? 1 / sqrtf((float)w->key_size) : 1;
    // Rows know nothing of each other; threads share out each head's.
    const int first = w->size * thread / threads, end = w->size * (thread + 1) / threads;
    for (int32_t r = 0; r < batch->run_count; r++)
        for (int head = 0; head < w->heads; head++)
            for (int row = first; row < end; row++) learn_row(w, &batch->runs[r], head, row, scale);
}
