// Attention of one token of one KV head: products with the keys, softmax, sum of the values.
#pragma once

#include "ranges.h"
#include "whole_rows.h"

static void scale_rows(const float *from, int count, int dimension, int padded, float scale, float *to) {
    for (int row = 0; row < count; row++) {
        memset(to + row * padded, 0, (size_t)padded * sizeof(float));
        for (int d = 0; d < dimension; d++) to[row * padded + d] = from[row * dimension + d] * scale;
    }
}

/// Hides entries that are empty or behind the sliding window.
static void hide(
    const struct attention_cache *cache, float *scores, const float *positions, int count, int64_t position
) {
    for (int i = 0; i < count; i += LANES) {
        vf held = load_part(positions + i, count - i, -1);
        vf score = load_part(scores + i, count - i, 0);
        vi hidden = is_out_of_sight(cache, held, (float)position);
        store_part(choose(hidden, splat(-INFINITY), score), scores + i, count - i);
    }
}

/// Rounds 32 numbers to 8 bits: to the nearest of -127 to 127 times 1/127 of the largest.
static void round_block(float *numbers, int32_t offset, struct query_block *to) {
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
    vf most = splat(0), whole[32 / LANES], total = splat(0);
    for (int d = 0; d < 32; d += LANES) most = larger(most, larger(load(numbers + d), -load(numbers + d)));
    to->scale = max_lanes(most) / 127;
    // Where the scale is not a normal number, numbers are as good as nothing.
    float inverse = to->scale >= 0x1p-126f ? 1 / to->scale : 0;
    for (int d = 0, i = 0; d < 32; d += LANES, i++) {
        vf number = load(numbers + d) * inverse;
        whole[i] = number + magic;
        whole[i] -= magic;
        total += whole[i];
        vi8 codes = __builtin_convertvector(__builtin_convertvector(whole[i], vi), vi8);
        memcpy(to->codes + d, &codes, sizeof codes);
        store(whole[i] * to->scale, numbers + d);
    }
    float sum = sum_lanes(total);
    // What is not a number must not become one.
    if (sum != sum) to->scale = sum;
    to->total = sum * to->scale;
    to->start = sum == sum ? -offset * (int32_t)sum : 0;
}

/// Rounds rows where keys are quantised, as ggml does: the rounded numbers take their places, and are written in whole
/// numbers too.
static void round_rows(enum attention_type type, float *rows, int count, int dimension, int padded, struct query_block *to) {
    if (!is_quantized(type)) return;
    for (int row = 0; row < count; row++)
        for (int d = 0; d < dimension; d += 32) round_block(rows + row * padded + d, number_offset(type), to++);
}

/// The products of some queries with a range's slots, each by the queries of the frame that it stands in.
static void score_slots(
    const struct unit *u, const struct rows *rows, const struct range *range, struct row_pass pass,
    const struct workspace *w
) {
    enum attention_type type = u->step.cache->slots.key_type;
    int blocks = u->step.cache->slots.group * (pass.dimension / 32);
    for (int begin = range->begin, end; begin < range->end; begin = end) {
        bool stands_apart = rows->places && rows->places[begin] > 0;
        end = rows->places ? begin + 1 : range->end;
        while (end < range->end && (rows->places[end] > 0) == stands_apart) end++;
        pass.rows = rows->keys + (size_t)begin * rows->key_bytes;
        pass.count = end - begin;
        pass.numbers = w->scores + begin;
        pass.vectors = stands_apart ? w->turned_queries : w->queries;
        pass.rounded = w->rounded + (stands_apart ? 3 * blocks : 0);
        score_rows(type, &pass);
    }
}

/// The products of some queries with a range's keys; frozen entries are seen by the token's own only.
static void score_range(
    const struct unit *u, const struct rows *rows, const struct range *range, int queries, const struct workspace *w
) {
    const struct attention_slots *slots = &u->step.cache->slots;
    struct row_pass pass = {
        .dimension = slots->dimension, .padded = (int)w->padded, .stride = w->stride, .queries = queries,
    };
    score_slots(u, rows, range, pass, w);
    if (range->frozen == 0) return;
    pass.rows = rows->frozen_keys + (size_t)range->frozen_begin * rows->key_bytes;
    pass.count = range->frozen;
    pass.numbers = w->scores + range->frozen_at;
    pass.queries = slots->group;
    pass.vectors = w->queries;
    pass.rounded = w->rounded;
    if (u->frozen_query) {
        pass.vectors = w->frozen_queries;
        pass.rounded = w->rounded + 2 * slots->group * (slots->dimension / 32);
    }
    score_rows(slots->key_type, &pass);
}

/// Masks a range's scores and finds the highest of each query head.
static void mask_range(
    const struct unit *u, const struct rows *rows, const struct range *range, const struct workspace *w, float *peaks
) {
    const struct attention_cache *cache = u->step.cache;
    for (int g = 0; g < cache->slots.group; g++) {
        float *live = w->scores + (size_t)g * w->stride + range->begin;
        float *old = w->scores + (size_t)g * w->stride + range->frozen_at;
        if (rows->positions && (cache->slots.has_gaps || cache->sliding_window > 0))
            hide(cache, live, rows->positions + range->begin, range->count, u->step.position);
        if (cache->sliding_window > 0 && range->frozen > 0)
            hide(cache, old, rows->frozen_positions + range->frozen_begin, range->frozen, u->step.position);
        vf peak = splat(-INFINITY);
        for (int i = 0; i < range->count; i += LANES)
            peak = larger(peak, load_part(live + i, range->count - i, -INFINITY));
        for (int i = 0; i < range->frozen; i += LANES)
            peak = larger(peak, load_part(old + i, range->frozen - i, -INFINITY));
        peaks[g] = max_lanes(peak);
    }
}

static float exponentials(float *scores, int count, float peak) {
    vf sum = splat(0);
    for (int i = 0; i < count; i += LANES) {
        vf weight = exp_lanes(load_part(scores + i, count - i, -INFINITY) - peak);
        sum += weight;
        store_part(weight, scores + i, count - i);
    }
    return sum_lanes(sum);
}

/// Scores become unnormalised weights, and the range's values are summed by them.
static void weigh_range(
    const struct unit *u, const struct rows *rows, const struct range *range, const struct workspace *w,
    const struct workspace *own
) {
    const struct attention_slots *slots = &u->step.cache->slots;
    for (int g = 0; g < slots->group; g++) {
        float *row = w->scores + (size_t)g * w->stride, peak = own->highest[g];
        own->sums[g] = exponentials(row + range->begin, range->count, peak)
            + exponentials(row + range->frozen_at, range->frozen, peak);
    }
    memset(own->outputs, 0, (size_t)slots->group * own->padded * sizeof(float));
    struct row_pass pass = {
        .rows = rows->values + (size_t)range->begin * rows->value_bytes, .count = range->count,
        .dimension = slots->dimension, .vectors = own->outputs, .padded = (int)own->padded,
        .numbers = w->scores + range->begin, .stride = w->stride, .queries = slots->group,
    };
    add_rows(slots->value_type, &pass);
    if (range->frozen == 0) return;
    pass.rows = rows->frozen_values + (size_t)range->frozen_begin * rows->value_bytes;
    pass.count = range->frozen;
    pass.numbers = w->scores + range->frozen_at;
    add_rows(slots->value_type, &pass);
}

/// The highest scores of the whole team and of the sinks.
static void combine_peaks(const struct unit *u, const struct team *team, const struct workspace *w, float *highest) {
    for (int g = 0; g < u->step.cache->slots.group; g++) {
        highest[g] = u->sinks ? u->sinks[g] : -INFINITY;
        for (int rank = 0; rank < team->size; rank++) {
            float peak = area_of(team, w->peaks, rank)[g];
            if (peak > highest[g]) highest[g] = peak;
        }
    }
}

/// The team's parts become the head's results.
static void merge(const struct unit *u, const struct team *team, const struct workspace *w) {
    const struct attention_slots *slots = &u->step.cache->slots;
    for (int g = 0; g < slots->group; g++) {
        float total = u->sinks ? expf(u->sinks[g] - w->highest[g]) : 0;
        for (int rank = 0; rank < team->size; rank++) total = total + area_of(team, w->sums, rank)[g];
        w->factors[g] = 1 / total;
        float *to = u->output + (size_t)g * (size_t)slots->dimension;
        for (int d = 0; d < slots->dimension; d += LANES) {
            vf sum = splat(0);
            for (int rank = 0; rank < team->size; rank++)
                sum += load(area_of(team, w->outputs, rank) + (size_t)g * w->padded + d);
            store_part(sum * w->factors[g], to + d, slots->dimension - d);
        }
    }
}

/// The highest scores of the parts so far, where one thread does them all.
static void take_peaks(const struct unit *u, bool first, const struct workspace *w) {
    for (int g = 0; g < u->step.cache->slots.group; g++) {
        if (first) w->highest[g] = u->sinks ? u->sinks[g] : -INFINITY;
        if (w->peaks[g] > w->highest[g]) w->highest[g] = w->peaks[g];
    }
}

/// Adds a part's sums to those of the parts so far, as `merge` adds them up.
static void take_sums(const struct unit *u, bool first, const struct workspace *w) {
    const struct attention_slots *slots = &u->step.cache->slots;
    for (int g = 0; g < slots->group; g++) {
        if (first) w->factors[g] = u->sinks ? expf(u->sinks[g] - w->highest[g]) : 0;
        w->factors[g] += w->sums[g];
        float *to = u->output + (size_t)g * (size_t)slots->dimension;
        for (int d = 0; d < slots->dimension; d += LANES) {
            vf sum = first ? splat(0) : load_part(to + d, slots->dimension - d, 0);
            store_part(sum + load(w->outputs + (size_t)g * w->padded + d), to + d, slots->dimension - d);
        }
    }
}

/// The sums become the head's results.
static void finish_sums(const struct unit *u, const struct workspace *w) {
    const struct attention_slots *slots = &u->step.cache->slots;
    for (int g = 0; g < slots->group; g++) {
        w->factors[g] = 1 / w->factors[g];
        float *to = u->output + (size_t)g * (size_t)slots->dimension;
        for (int d = 0; d < slots->dimension; d++) to[d] *= w->factors[g];
    }
}
