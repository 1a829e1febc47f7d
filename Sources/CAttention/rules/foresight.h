// ATTENTION_FORESIGHT: what an entry was expected to be needed for at its age when it was written, and what it received.
#pragma once

#include "../check.h"
#include "../slots.h"
#include "cumulative.h"

/// The codes of some slots as numbers; those beyond `count` are 0.
INLINE vf load_codes(const int8_t *from, int count) {
    vi8 codes = 0;
    memcpy(&codes, from, (size_t)(count < LANES ? count : LANES));
    return __builtin_convertvector(codes, vf);
}

static void foresight_choose(const struct attention_step *step, float *scores, float *room) {
    const struct attention_foresight *f = &step->cache->score.foresight;
    const struct attention_slots *slots = &step->cache->slots;
    size_t at = head_offset(step->cache, step->head), plane = (size_t)slots->heads * (size_t)slots->count;
    const float unit = 1.0f / (ATTENTION_LARGEST_CODE * ATTENTION_LARGEST_CODE);
    (void)room;
    for (int i = 0; i < slots->count; i += LANES) {
        int left = slots->count - i;
        vf age = (float)step->position - load_part(step->positions + i, left, 0);
        vf code = load_codes(f->codes + at + (size_t)i, left);
        for (int k = 1; k < f->age_count; k++)
            code = choose(age >= splat((float)f->ages[k]), load_codes(f->codes + (size_t)k * plane + at + (size_t)i, left), code);
        vf score = code * larger(code, -code) * unit;
        if (f->received) score += load_part(f->received + at + i, left, 0) * f->lambda;
        store_part(score, scores + i, left);
    }
}

static void foresight_forget(const struct attention_step *step, int32_t slot) {
    const struct attention_foresight *f = &step->cache->score.foresight;
    size_t at = head_offset(step->cache, step->head) + (size_t)slot;
    size_t plane = (size_t)step->cache->slots.heads * (size_t)step->cache->slots.count;
    CHECK(f->age_count <= step->feature_width);
    for (int k = 0; k < f->age_count; k++) f->codes[(size_t)k * plane + at] = (int8_t)step->features[k];
    if (f->received) f->received[at] = 0;
}

static void foresight_update(const struct attention_step *step, const struct attention_weights *w) {
    const struct attention_foresight *f = &step->cache->score.foresight;
    decay_and_add(f->received + head_offset(step->cache, step->head), f->decay, w);
}

static const struct attention_rule_table foresight_rule = {
    .feature_width = 1,
    .choose = foresight_choose,
    .forget = foresight_forget,
    .update = foresight_update,
};

/// The same where what an entry received does not count.
static const struct attention_rule_table foresight_alone_rule = {
    .feature_width = 1,
    .choose = foresight_choose,
    .forget = foresight_forget,
};
