// Choosing the slot that a token takes.
#pragma once

#include "check.h"
#include "slots.h"
#include "workspace.h"

/// The lowest score of those that are not protected; of equal ones the highest position. Entries that the layer no
/// longer sees go first.
static int lowest_slot(const struct attention_step *step, const float *scores, int slots) {
    const float *positions = step->positions, position = (float)step->position;
    vf low = splat(INFINITY), low_position = splat(-1);
    vi low_index = 0, index;
    for (int i = 0; i < LANES; i++) index[i] = i;
    for (int i = 0; i < slots; i += LANES) {
        vf held = load_part(positions + i, slots - i, position);
        vf score = load_part(scores + i, slots - i, 0);
        vi gone = is_out_of_sight(step->cache, held, position);
        score = choose(gone, splat(-1e30f), score);
        vi open = ~is_protected(step, held, position) | gone;
        vi better = open & ((score < low) | ((score == low) & (held > low_position)));
        low = choose(better, score, low);
        low_position = choose(better, held, low_position);
        low_index = (index & better) | (low_index & ~better);
        index += LANES;
    }
    int best = 0;
    for (int i = 1; i < LANES; i++) {
        if (low[i] < low[best] || (low[i] == low[best] && low_position[i] > low_position[best])) best = i;
    }
    return low_index[best];
}

static int first_empty(const float *positions, int slots) {
    for (int i = 0; i < slots; i++) {
        if (positions[i] < 0) return i;
    }
    return -1;
}

/// The sum of all heads' scores.
static void shared_scores(
    const struct attention_step *step, const struct attention_rule_table *rule, int slots, float *scores, float *own,
    float *room
) {
    memset(scores, 0, (size_t)slots * sizeof(float));
    for (int head = 0; head < step->cache->slots.heads; head++) {
        struct attention_step other = *step;
        other.head = head;
        other.positions = step->cache->slots.positions + head_offset(step->cache, head);
        other.query = other.features = NULL;
        other.feature_width = 0;
        rule->choose(&other, own, room);
        reduce_into(own, slots, ATTENTION_SUM, scores);
    }
}

/// The slot that one head's token takes: an empty one, else the one with the lowest score.
///
/// Where heads choose together, the first of them chooses, and it looks at all of them, before any changes.
static int chosen_slot(
    const struct attention_step *step, const struct attention_rule_table *rule, int used, const struct workspace *w
) {
    const struct attention_cache *cache = step->cache;
    int slots = cache->slots.count;
    if (used < slots) return cache->slots.has_gaps ? first_empty(step->positions, slots) : used;
    DEBUG_CHECK((size_t)slots <= w->stride);
    float *scores = w->choice, *own = scores + w->stride, *room = own + w->stride;
    struct attention_step choice = *step;
    protect(&choice);
    if (cache->score.shares_choice) shared_scores(&choice, rule, slots, scores, own, room);
    else rule->choose(&choice, scores, room);
    return lowest_slot(&choice, scores, slots);
}
