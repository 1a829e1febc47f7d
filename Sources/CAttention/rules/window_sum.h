// ATTENTION_WINDOW_SUM: the weights that the last queries really gave.
//
// Instead of the weights of all these queries, which would be more than the keys and values, the queries are kept. The
// weights of the one that leaves the window are computed anew, in the same pass over the keys, and taken off.
#pragma once

#include "../slots.h"

/// Whether the sums rotate before this step's weights are added.
INLINE bool rotates(const struct attention_step *step) {
    return step->phase == step->cache->score.window_sum.query_count;
}

static int32_t window_sum_advance(const struct attention_cache *cache, int32_t phase) {
    return phase % cache->score.window_sum.query_count + 1;
}

/// The row of the ring that belongs to the step: the leaving query's, later its own.
INLINE size_t window_sum_row(const struct attention_step *step) {
    const struct attention_window_sum *sum = &step->cache->score.window_sum;
    return (size_t)(step->position % sum->query_count) * (size_t)step->cache->slots.heads + (size_t)step->head;
}

static void window_sum_choose(const struct attention_step *step, float *scores, float *room) {
    const struct attention_window_sum *sum = &step->cache->score.window_sum;
    size_t at = head_offset(step->cache, step->head);
    int slots = step->cache->slots.count;
    (void)room;
    memcpy(scores, sum->fresh + at, (size_t)slots * sizeof(float));
    if (!rotates(step)) reduce_into(sum->expiring + at, slots, ATTENTION_SUM, scores);
}

static void window_sum_forget(const struct attention_step *step, int32_t slot) {
    const struct attention_window_sum *sum = &step->cache->score.window_sum;
    size_t at = head_offset(step->cache, step->head) + (size_t)slot;
    sum->fresh[at] = sum->expiring[at] = 0;
}

static const float *window_sum_leaving(const struct attention_step *step) {
    const struct attention_window_sum *sum = &step->cache->score.window_sum;
    if (step->position < sum->query_count) return NULL;
    return sum->queries + window_sum_row(step) * (size_t)step->cache->slots.group * (size_t)step->cache->slots.dimension;
}

/// The weights that the leaving query gave, from its scores and its normalisers; entries younger than it got none.
static void leaving_weights(const struct attention_step *step, const struct attention_weights *w) {
    const struct attention_cache *cache = step->cache;
    const float *normalizers =
        cache->score.window_sum.normalizers + window_sum_row(step) * (size_t)cache->slots.group;
    float query = (float)(step->position - cache->score.window_sum.query_count);
    for (int i = w->begin; i < w->end; i += LANES) {
        vf total = splat(0);
        for (int g = 0; g < cache->slots.group; g++) {
            vf weight = exp_lanes(load(w->leaving + (size_t)g * w->stride + i) - normalizers[g]);
            total = cache->score.group_reduction == ATTENTION_MAX ? larger(total, weight) : total + weight;
        }
        vf held = load_part(step->positions + i, w->end - i, 0);
        store_part(choose(held <= splat(query), total, splat(0)), w->room + i, w->end - i);
    }
}

/// Rotates the sums if it is time, adds the step's weights and takes off those of the query that leaves.
static void window_sum_update(const struct attention_step *step, const struct attention_weights *w) {
    const struct attention_window_sum *sum = &step->cache->score.window_sum;
    size_t at = head_offset(step->cache, step->head);
    float *fresh = sum->fresh + at, *expiring = sum->expiring + at;
    bool leaves = w->leaving != NULL, rotating = rotates(step);
    if (leaves) leaving_weights(step, w);
    for (int i = w->begin; i < w->end; i += LANES) {
        int left = w->end - i;
        vf new = load_part(fresh + i, left, 0), old = load_part(expiring + i, left, 0);
        if (rotating) {
            old = new;
            new = splat(0);
        }
        store_part(new + load_part(w->reduced + i, left, 0), fresh + i, left);
        store_part(leaves ? old - load_part(w->room + i, left, 0) : old, expiring + i, left);
    }
}

/// Puts the step's queries and normalisers into the ring.
static void window_sum_remember(const struct attention_step *step, const float *normalizers) {
    const struct attention_window_sum *sum = &step->cache->score.window_sum;
    size_t group = (size_t)step->cache->slots.group, size = group * (size_t)step->cache->slots.dimension;
    memcpy(sum->queries + window_sum_row(step) * size, step->query, size * sizeof(float));
    memcpy(sum->normalizers + window_sum_row(step) * group, normalizers, group * sizeof(float));
}

static const struct attention_rule_table window_sum_rule = {
    .choose = window_sum_choose,
    .forget = window_sum_forget,
    .leaving = window_sum_leaving,
    .update = window_sum_update,
    .remember = window_sum_remember,
    .advance = window_sum_advance,
};
