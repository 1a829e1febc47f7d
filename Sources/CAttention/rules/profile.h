// ATTENTION_PROFILE: what each of the last queries gave, one by one.
//
// Two tables: either the weights of each query are kept, or its scores before the softmax, which are normalised over
// the candidates, the slots that may be chosen, only when a choice is made.
#pragma once

#include "../slots.h"

/// The score, before the softmax, of an entry for queries that have not seen it.
#define UNSEEN_SCORE (-1e30f)

/// One head's scores in one row of the ring, all slots of the first of the row's query heads.
INLINE float *profile_row(const struct attention_step *step, int row) {
    const struct attention_profile *profile = &step->cache->score.profile;
    size_t index = ((size_t)row * (size_t)step->cache->slots.heads + (size_t)step->head) *
                   (size_t)profile->rows_per_head;
    return profile->scores + index * (size_t)step->cache->slots.count;
}

/// The row of the step's query.
INLINE float *profile_own_row(const struct attention_step *step) {
    return profile_row(step, (int)(step->position % step->cache->score.profile.query_count));
}

/// Whether a row of the ring belongs to a query before the step, and not to one before the cache's origin.
INLINE bool holds_query(const struct attention_step *step, int row) {
    int64_t last = step->position - 1;
    return last >= row &&
           last - (last - row) % step->cache->score.profile.query_count >= step->cache->slots.origin;
}

static void profile_choose(const struct attention_step *step, float *scores, float *room) {
    const struct attention_profile *profile = &step->cache->score.profile;
    int slots = step->cache->slots.count;
    (void)room;
    memset(scores, 0, (size_t)slots * sizeof(float));
    for (int row = 0; row < profile->query_count; row++)
        if (holds_query(step, row)) reduce_into(profile_row(step, row), slots, profile->fusion, scores);
}

/// Puts a value into every row of the ring.
INLINE void profile_fill(const struct attention_step *step, int32_t slot, float value) {
    const struct attention_profile *profile = &step->cache->score.profile;
    for (int row = 0; row < profile->query_count; row++)
        for (int part = 0; part < profile->rows_per_head; part++)
            profile_row(step, row)[part * step->cache->slots.count + slot] = value;
}

static void profile_forget(const struct attention_step *step, int32_t slot) { profile_fill(step, slot, 0); }

static void profile_update(const struct attention_step *step, const struct attention_weights *w) {
    float *own = profile_own_row(step) + w->begin;
    if (step->cache->reader > 0) reduce_into(w->reduced + w->begin, w->end - w->begin, ATTENTION_SUM, own);
    else memcpy(own, w->reduced + w->begin, (size_t)(w->end - w->begin) * sizeof(float));
}

static const struct attention_rule_table profile_rule = {
    .choose = profile_choose,
    .forget = profile_forget,
    .update = profile_update,
};

/// Scores become shares of the candidates.
static void normalize_candidates(const struct attention_step *step, const float *scores, float *to) {
    int slots = step->cache->slots.count;
    float position = (float)step->position;
    vf highest = splat(-INFINITY);
    for (int i = 0; i < slots; i += LANES) {
        vf held = load_part(step->positions + i, slots - i, -1);
        vi out = is_protected(step, held, position) | is_out_of_sight(step->cache, held, position);
        vf score = choose(out, splat(-INFINITY), load_part(scores + i, slots - i, 0));
        highest = larger(highest, score);
        store_part(score, to + i, slots - i);
    }
    vf peak = splat(max_lanes(highest));
    vf sum = splat(0);
    for (int i = 0; i < slots; i += LANES) {
        vf share = exp_lanes(load_part(to + i, slots - i, -INFINITY) - peak);
        sum += share;
        store_part(share, to + i, slots - i);
    }
    float total = sum_lanes(sum);
    vf factor = splat(total > 0 ? 1 / total : 0);
    for (int i = 0; i < slots; i += LANES) store_part(load_part(to + i, slots - i, 0) * factor, to + i, slots - i);
}

static void candidates_choose(const struct attention_step *step, float *scores, float *room) {
    const struct attention_profile *profile = &step->cache->score.profile;
    int slots = step->cache->slots.count;
    float *shares = room, *best = room + slots;
    memset(scores, 0, (size_t)slots * sizeof(float));
    for (int row = 0; row < profile->query_count; row++) {
        if (!holds_query(step, row)) continue;
        const float *kept = profile_row(step, row);
        normalize_candidates(step, kept, best);
        for (int part = 1; part < profile->rows_per_head; part++) {
            normalize_candidates(step, kept + (size_t)part * (size_t)slots, shares);
            reduce_into(shares, slots, ATTENTION_MAX, best);
        }
        reduce_into(best, slots, profile->fusion, scores);
    }
}

static void candidates_forget(const struct attention_step *step, int32_t slot) {
    profile_fill(step, slot, UNSEEN_SCORE);
}

/// Keeps the scores of each query head, or their sum; those of blocks that only read behind the layer's own.
static void candidates_observe(
    const struct attention_step *step, const float *scores, size_t stride, int32_t begin, int32_t end
) {
    int apart = step->cache->score.profile.rows_per_head > 1, count = end - begin;
    int first = step->cache->reader * step->cache->slots.group;
    for (int g = 0; g < step->cache->slots.group; g++) {
        const float *from = scores + (size_t)g * stride + begin;
        float *to = profile_own_row(step) + (apart ? first + g : 0) * step->cache->slots.count + begin;
        if (first + g == 0 || apart) memcpy(to, from, (size_t)count * sizeof(float));
        else reduce_into(from, count, ATTENTION_SUM, to);
    }
}

static const struct attention_rule_table candidates_rule = {
    .choose = candidates_choose,
    .forget = candidates_forget,
    .observe = candidates_observe,
};
