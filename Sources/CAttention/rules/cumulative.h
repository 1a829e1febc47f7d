// ATTENTION_CUMULATIVE: decay * score + weight.
#pragma once

#include "../slots.h"

INLINE float *cumulative_scores(const struct attention_step *step) {
    return step->cache->score.cumulative.scores + head_offset(step->cache, step->head);
}

static void cumulative_choose(const struct attention_step *step, float *scores, float *room) {
    (void)room;
    memcpy(scores, cumulative_scores(step), (size_t)step->cache->slots.count * sizeof(float));
}

static void cumulative_forget(const struct attention_step *step, int32_t slot) { cumulative_scores(step)[slot] = 0; }

/// decay * score + weight, for a head's slots of a range.
INLINE void decay_and_add(float *score, float decay, const struct attention_weights *w) {
    for (int i = w->begin; i < w->end; i += LANES) {
        int left = w->end - i;
        store_part(load_part(score + i, left, 0) * decay + load_part(w->reduced + i, left, 0), score + i, left);
    }
}

static void cumulative_update(const struct attention_step *step, const struct attention_weights *w) {
    decay_and_add(cumulative_scores(step), step->cache->score.cumulative.decay, w);
}

static const struct attention_rule_table cumulative_rule = {
    .choose = cumulative_choose,
    .forget = cumulative_forget,
    .update = cumulative_update,
};
