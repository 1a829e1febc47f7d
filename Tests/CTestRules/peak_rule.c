#include "peak_rule.h"

static const struct peak_state *state_of(const struct attention_step *step) {
    return step->cache->score.custom.state;
}

/// Where the numbers of the step's head begin.
static size_t first(const struct attention_step *step) {
    return (size_t)step->head * (size_t)step->cache->slots.count;
}

static void choose(const struct attention_step *step, float *scores, float *room) {
    (void)room;
    const struct peak_state *state = state_of(step);
    const float *written = state->written + first(step), *peaks = state->peaks + first(step);
    for (int i = 0; i < step->cache->slots.count; i++)
        scores[i] = written[i] + peaks[i] - state->aging * ((float)step->position - step->positions[i]);
}

static void forget(const struct attention_step *step, int32_t slot) {
    state_of(step)->written[first(step) + (size_t)slot] = step->features[0];
    state_of(step)->peaks[first(step) + (size_t)slot] = 0;
}

static void update(const struct attention_step *step, const struct attention_weights *weights) {
    const struct peak_state *state = state_of(step);
    float *peaks = state->peaks + first(step);
    for (int i = weights->begin; i < weights->end; i++) {
        float old = state->decay * peaks[i];
        peaks[i] = old > weights->reduced[i] ? old : weights->reduced[i];
    }
}

const struct attention_rule_table *peak_rule_table(void) {
    static const struct attention_rule_table table = {
        .feature_width = 1, .choose = choose, .forget = forget, .update = update,
    };
    return &table;
}
