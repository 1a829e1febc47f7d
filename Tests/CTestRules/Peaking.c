#include "CTestRules.h"
#include <math.h>

static float left(const struct test_peaking *state, size_t at, float position) {
    return state->peaks[at] * exp2f((state->times[at] - position) / state->half_life);
}

static size_t first_of(const struct attention_step *step) {
    return (size_t)step->head * (size_t)step->cache->slots.count;
}

static void choose(const struct attention_step *step, float *scores, float *room) {
    const struct test_peaking *state = step->cache->score.custom.state;
    float position = (float)step->position;
    (void)room;
    for (int slot = 0; slot < step->cache->slots.count; slot++) {
        size_t at = first_of(step) + (size_t)slot;
        scores[slot] = left(state, at, position) * state->counts[at] / (position - step->positions[slot]);
    }
}

static void forget(const struct attention_step *step, int32_t slot) {
    const struct test_peaking *state = step->cache->score.custom.state;
    size_t at = first_of(step) + (size_t)slot;
    state->peaks[at] = state->counts[at] = 0;
    state->times[at] = (float)step->position;
}

static void update(const struct attention_step *step, const struct attention_weights *weights) {
    const struct test_peaking *state = step->cache->score.custom.state;
    float position = (float)step->position;
    for (int slot = weights->begin; slot < weights->end; slot++) {
        size_t at = first_of(step) + (size_t)slot;
        if (weights->reduced[slot] <= left(state, at, position)) continue;
        state->peaks[at] = weights->reduced[slot];
        state->times[at] = position;
        state->counts[at] += 1;
    }
}

static const struct attention_rule_table rule = {.choose = choose, .forget = forget, .update = update};

const struct attention_rule_table *test_peaking_rule(void) { return &rule; }
