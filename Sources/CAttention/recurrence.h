// The gated delta rule and state spaces, for whichever instructions the including file is compiled for.
#pragma once

#include "include/Recurrence.h"
#include "simd.h"

/// Tokens that rows go through before others do: their keys, queries and answers stay in the first cache.
#define TOKENS_AT_A_TIME 32

/// Vectors of each of 4 rows that stay in registers.
#define STATE_VECTORS (LANES == 16 ? 4 : 2)

/// Some successive tokens of a run, for one head.
struct recurrent_part {
    const struct recurrent_delta *work;
    float *memory; ///< the head's
    size_t column; ///< of the first token in the batch
    int tokens;
    int head, key_head;
    float scale;
};

/// Where one token's numbers lie.
struct recurrent_token {
    const float *query, *key, *value;
    float *output;
    float kept, rate;
};

INLINE struct recurrent_token token_of(const struct recurrent_part *p, int token, int row) {
    const struct recurrent_delta *w = p->work;
    const size_t column = p->column + (size_t)token, size = (size_t)w->size, head = column * (size_t)w->heads + (size_t)p->head;
    const size_t at = (column * (size_t)w->key_heads + (size_t)p->key_head) * (size_t)w->key_size;
    return (struct recurrent_token){
        .query = w->query + at, .key = w->key + at, .kept = w->decay[head], .rate = w->rate[head],
        .value = w->value + column * w->value_stride + (size_t)p->head * size + row, .output = w->output + head * size + row};
}

/// LANES numbers of a key or of memory; `whole` says that there are as many.
INLINE vf load_lanes_of(const bool whole, const float *from, int count) {
    return whole ? load(from) : load_part(from, count, 0);
}

/// The sums of some vectors' lanes: 4 of them, or 1.
INLINE void sum_rows(const int rows, const vf *sums, float *to) {
    if (rows == 4)
        sum_four(sums, to);
    else
        *to = sum_lanes(*sums);
}

/// What rows of a head's memory know at a key: 4 rows, or 1.
INLINE void recall_rows(const int rows, const bool whole, const float *memory, const float *key, int size, float *to) {
    vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
    for (int i = 0; i < size; i += LANES) {
        vf k = load_lanes_of(whole, key + i, size - i);
        UNROLL
        for (int r = 0; r < rows; r++) sums[r] += load_lanes_of(whole, memory + (size_t)r * size + i, size - i) * k;
    }
    sum_rows(rows, sums, to);
}

/// Takes rows of a head's memory, each of which answers for one number of the values, through some tokens: 4 rows, which read
/// keys and queries once for all, or 1. `whole`: whether their length is a multiple of LANES.
INLINE void learn_rows(const int rows, const bool whole, const struct recurrent_part *p, int row) {
    const int size = p->work->key_size;
    const float passing = p->work->passing ? p->work->passing[p->head] : 0;
    float *memory = p->memory + (size_t)row * size;
    for (int token = 0; token < p->tokens; token++) {
        const struct recurrent_token t = token_of(p, token, row);
        float known[4] = {0}, answers[4];
        vf learned[4];
        if (p->work->corrects) recall_rows(rows, whole, memory, t.key, size, known);
        UNROLL
        for (int r = 0; r < rows; r++) learned[r] = splat((t.value[r] - known[r] * t.kept) * t.rate);
        vf sums[4] = {splat(0), splat(0), splat(0), splat(0)};
        for (int i = 0; i < size; i += LANES) {
            vf k = load_lanes_of(whole, t.key + i, size - i), q = load_lanes_of(whole, t.query + i, size - i);
            UNROLL
            for (int r = 0; r < rows; r++) {
                float *part = memory + (size_t)r * size + i;
                vf new = load_lanes_of(whole, part, size - i) * t.kept + k * learned[r];
                if (whole)
                    store(new, part);
                else
                    store_part(new, part, size - i);
                sums[r] += new * q;
            }
        }
        sum_rows(rows, sums, answers);
        for (int r = 0; r < rows; r++) t.output[r] = answers[r] * p->scale + passing * t.value[r];
    }
}

/// Takes a part of 4 rows of a state space's memory through some tokens. Since nothing is corrected, parts of a row know nothing
/// of each other: each adds its answers to those of the ones before.
INLINE void scan_tile(const struct recurrent_part *p, int row, int from) {
    const int size = p->work->key_size;
    const float passing = p->work->passing && from == 0 ? p->work->passing[p->head] : 0;
    float *memory = p->memory + (size_t)row * size + from;
    vf state[4][STATE_VECTORS];
    UNROLL
    for (int r = 0; r < 4; r++)
        UNROLL
        for (int i = 0; i < STATE_VECTORS; i++) state[r][i] = load(memory + (size_t)r * size + i * LANES);
    for (int token = 0; token < p->tokens; token++) {
        const struct recurrent_token t = token_of(p, token, row);
        vf learned[4], sums[4];
        float answers[4];
        UNROLL
        for (int r = 0; r < 4; r++) {
            learned[r] = splat(t.value[r] * t.rate);
            sums[r] = splat(0);
        }
        UNROLL
        for (int i = 0; i < STATE_VECTORS; i++) {
            vf k = load(t.key + from + i * LANES), q = load(t.query + from + i * LANES);
            UNROLL
            for (int r = 0; r < 4; r++) {
                state[r][i] = state[r][i] * t.kept + k * learned[r];
                sums[r] += state[r][i] * q;
            }
        }
        sum_four(sums, answers);
        for (int r = 0; r < 4; r++) t.output[r] = answers[r] + (from == 0 ? passing * t.value[r] : t.output[r]);
    }
    UNROLL
    for (int r = 0; r < 4; r++)
        UNROLL
        for (int i = 0; i < STATE_VECTORS; i++) store(state[r][i], memory + (size_t)r * size + i * LANES);
}

/// Takes some rows of a head's memory through some tokens.
static void learn_part(const struct recurrent_part *p, int row, int end) {
    const int size = p->work->key_size;
    const bool tiles = !p->work->corrects && size % (STATE_VECTORS * LANES) == 0, whole = size % LANES == 0;
    for (; row + 4 <= end; row += 4) {
        if (tiles)
            for (int from = 0; from < size; from += STATE_VECTORS * LANES) scan_tile(p, row, from);
        else if (whole)
            learn_rows(4, true, p, row);
        else
            learn_rows(4, false, p, row);
    }
    for (; row < end; row++) learn_rows(1, false, p, row);
}

static void learn(
    const struct recurrent_batch *batch, const struct recurrent_delta *w, int32_t thread, int32_t threads
) {
    // Rows know nothing of each other; threads share out each head's.
    const int first = w->size * thread / threads, end = w->size * (thread + 1) / threads;
    struct recurrent_part p = {.work = w, .scale = w->corrects ? 1 / sqrtf((float)w->key_size) : 1};
    for (int32_t r = 0; r < batch->run_count; r++) {
        const struct recurrent_run *run = &batch->runs[r];
        for (int32_t token = 0; token < run->columns; token += TOKENS_AT_A_TIME) {
            p.column = (size_t)(run->column + token);
            p.tokens = run->columns - token < TOKENS_AT_A_TIME ? run->columns - token : TOKENS_AT_A_TIME;
            for (p.head = 0; p.head < w->heads; p.head++) {
                p.key_head = w->groups_heads ? p.head / (w->heads / w->key_heads) : p.head % w->key_heads;
                p.memory = run->memory + (size_t)p.head * w->size * w->key_size;
                learn_part(&p, first, end);
            }
        }
    }
}
