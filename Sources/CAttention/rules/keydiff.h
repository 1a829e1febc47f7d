// ATTENTION_KEYDIFF: minus the cosine between a key and the mean of the keys' directions.
//
// The keys are read anew at each choice, so that nothing drifts: once for their lengths, once for the mean and once for
// the products with it.
#pragma once

#include "../rows.h"
#include "../slots.h"

INLINE void inverse_lengths_typed(const enum attention_type type, const struct row_pass *pass, float *to) {
    size_t bytes = stored_bytes(type, pass->dimension);
    for (int r = 0; r < pass->count; r++) {
        const char *row = pass->rows + (size_t)r * bytes;
        vf sum = splat(0);
        int d = 0;
        for (; d + LANES <= pass->dimension; d += LANES) {
            vf part = load_row(type, row, d);
            sum += part * part;
        }
        if (d < pass->dimension) {
            vf rest = load_row_rest(type, row, d, pass->dimension - d);
            sum += rest * rest;
        }
        float square = sum_lanes(sum);
        to[r] = square > 0 ? 1 / sqrtf(square) : 0;
    }
}

/// One over the length of each row; 0 for rows of zeros.
static void inverse_lengths(enum attention_type type, const struct row_pass *pass, float *to) {
    CALL_TYPED(type, inverse_lengths_typed, pass, to);
}

/// Gives a vector the length -1, so that products with it are negative cosines; zeros stay zeros.
static void point_away(float *vector, int padded) {
    vf sum = splat(0);
    for (int d = 0; d < padded; d += LANES) sum += load(vector + d) * load(vector + d);
    float square = sum_lanes(sum), factor = square > 0 ? -1 / sqrtf(square) : 0;
    for (int d = 0; d < padded; d += LANES) store(load(vector + d) * factor, vector + d);
}

static void keydiff_choose(const struct attention_step *step, float *scores, float *room) {
    const struct attention_slots *slots = &step->cache->slots;
    const struct attention_keydiff *keydiff = &step->cache->score.keydiff;
    size_t bytes = stored_bytes(slots->key_type, slots->dimension);
    float *mean = keydiff->means + (size_t)step->head * (size_t)keydiff->padded;
    struct row_pass pass = {
        .rows = (const char *)slots->keys + head_offset(step->cache, step->head) * bytes, .count = slots->count,
        .dimension = slots->dimension, .vectors = mean, .padded = keydiff->padded, .numbers = room,
        .stride = (size_t)slots->count, .queries = 1,
    };
    inverse_lengths(slots->key_type, &pass, room);
    memset(mean, 0, (size_t)keydiff->padded * sizeof(float));
    weigh_rows(slots->key_type, &pass);
    point_away(mean, keydiff->padded);
    pass.numbers = scores;
    dot_rows(slots->key_type, &pass);
    for (int i = 0; i < slots->count; i++) scores[i] *= room[i];
}

/// Nothing is known of an entry but its key.
static void keydiff_forget(const struct attention_step *step, int32_t slot) { (void)step, (void)slot; }

static const struct attention_rule_table keydiff_rule = {
    .choose = keydiff_choose,
    .forget = keydiff_forget,
};
