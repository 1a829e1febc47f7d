// ATTENTION_FIXED: a score that an entry gets when it is written and then keeps.
#pragma once

#include "../slots.h"

INLINE float *fixed_scores(const struct attention_step *step) {
    return step->cache->score.fixed.scores + head_offset(step->cache, step->head);
}

static void fixed_choose(const struct attention_step *step, float *scores, float *room) {
    (void)room;
    memcpy(scores, fixed_scores(step), (size_t)step->cache->slots.count * sizeof(float));
}

static void fixed_forget(const struct attention_step *step, int32_t slot) {
    const struct attention_fixed *fixed = &step->cache->score.fixed;
    fixed_scores(step)[slot] = fixed->is_random ? attention_random(fixed->seed, step->head, step->position)
                                                : (float)step->position;
}

static const struct attention_rule_table fixed_rule = {
    .choose = fixed_choose,
    .forget = fixed_forget,
};
