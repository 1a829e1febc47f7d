// The gated delta rule and state spaces, for whichever instructions the including file is compiled for.
#pragma once

#include "include/Recurrence.h"
#include "simd.h"

/// The sums of some vectors' lanes: 4 of them, or 1.
INLINE void sum_rows(const int rows, const vf *sums, float *to) {
    if (rows == 4)
        sum_four(sums, to);
    else
        *to = sum_lanes(*sums);
}

/// What rows of a head's memory know at a key: 4 rows, or 1.
INLINE void recall_rows(const int rows, const float *memory, const float *key, int size, float *to) {
    vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
    for (int i = 0; i < size; i += LANES) {
        vf k = load_part(key + i, size - i, 0);
        UNROLL
        for (int r = 0; r < rows; r++) sums[r] += load_part(memory + (size_t)r * size + i, size - i, 0) * k;
    }
    sum_rows(rows, sums, to);
}

/// Takes rows of a head's memory, each of which answers for one number of the values, through all tokens of a run: 4 rows,
/// which read keys and queries once for all, or 1.
INLINE void learn_rows(
    const int rows, const struct recurrent_delta *w, const struct recurrent_run *run, int head, int row, float scale
) {
    const int size = w->key_size;
    const int key_head = w->groups_heads ? head / (w->heads / w->key_heads) : head % w->key_heads;
    const float passing = w->passing ? w->passing[head] : 0;
    float *memory = run->memory + ((size_t)head * w->size + row) * size;
    for (int32_t token = 0; token < run->columns; token++) {
        const size_t column = (size_t)run->column + token;
        const size_t at = (column * w->key_heads + key_head) * size;
        const float *query = w->query + at, *key = w->key + at;
        const float kept = w->decay[column * w->heads + head], rate = w->rate[column * w->heads + head];
        const float *values = w->value + column * w->value_stride + (size_t)head * w->size + row;
        float known[4] = {0}, learned[4], answers[4];
        if (w->corrects) recall_rows(rows, memory, key, size, known);
        for (int r = 0; r < rows; r++) learned[r] = (values[r] - known[r] * kept) * rate;
        vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
        for (int i = 0; i < size; i += LANES) {
            vf k = load_part(key + i, size - i, 0), q = load_part(query + i, size - i, 0);
            UNROLL
            for (int r = 0; r < rows; r++) {
                float *part = memory + (size_t)r * size + i;
                vf new = load_part(part, size - i, 0) * kept + k * learned[r];
                store_part(new, part, size - i);
                sums[r] += new * q;
            }
        }
        sum_rows(rows, sums, answers);
        float *output = w->output + (column * w->heads + head) * w->size + row;
        for (int r = 0; r < rows; r++) output[r] = answers[r] * scale + passing * values[r];
    }
}

static void learn(
    const struct recurrent_batch *batch, const struct recurrent_delta *w, int32_t thread, int32_t threads
) {
    const float scale = w->corrects ? 1 / sqrtf((float)w->key_size) : 1;
    // Rows know nothing of each other; threads share out each head's.
    const int first = w->size * thread / threads, end = w->size * (thread + 1) / threads;
    for (int32_t r = 0; r < batch->run_count; r++)
        for (int head = 0; head < w->heads; head++) {
            int row = first;
            for (; row + 4 <= end; row += 4) learn_rows(4, w, &batch->runs[r], head, row, scale);
            for (; row < end; row++) learn_rows(1, w, &batch->runs[r], head, row, scale);
        }
}
