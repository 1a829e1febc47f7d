// Slots: where a head's are, which may be chosen, which are seen.
#pragma once

#include "include/CAttention.h"
#include "simd.h"

/// Where a head's part of an array with one number per slot begins.
INLINE size_t head_offset(const struct attention_cache *cache, int head) {
    return (size_t)head * (size_t)cache->slots.count;
}

/// The model's number of one of the cache's KV heads.
INLINE int model_head(const struct attention_cache *cache, int head) {
    return cache->slots.head_numbers ? cache->slots.head_numbers[head] : head;
}

/// Entries of the prompt that a head is sure to keep: its floor, or what pins that are not the prompt's leave of it.
static int64_t prompt_floor(const struct attention_step *step) {
    const struct attention_score *score = &step->cache->score;
    int64_t room = step->cache->slots.count - score->window - score->sinks - 1;
    for (int i = 0; i < step->pin_count; i++) {
        int64_t first = step->pins[i].first, end = step->pins[i].end;
        if (first < step->prompt_end) first = step->prompt_end;
        if (end > step->position) end = step->position;
        if (first < end) room -= end - first;
    }
    return score->prompt_floor < room ? score->prompt_floor : room;
}

/// The position before which nothing is evicted: the sinks, and the whole prompt while no more of it is held than its
/// floor. Told once per choice, when all slots are filled.
static int64_t kept_before(const struct attention_step *step) {
    const struct attention_score *score = &step->cache->score;
    if (score->prompt_floor <= 0 || step->prompt_end <= score->sinks) return score->sinks;
    float end = (float)step->prompt_end;
    int32_t held = 0;
    for (int i = 0; i < step->cache->slots.count; i++) held += step->positions[i] < end;
    return held <= prompt_floor(step) ? step->prompt_end : score->sinks;
}

/// Takes in what a choice must not take: tells `kept_before`, which pins that begin there move on.
static void protect(struct attention_step *step) {
    int64_t kept = kept_before(step), origin = step->cache->slots.origin;
    // Before the origin the slots hold nothing.
    while (step->pin_count > 0 && step->pins->first <= (kept > origin ? kept : origin)) {
        if (step->pins->end > kept) kept = step->pins->end;
        step->pins++;
        step->pin_count--;
    }
    step->kept_before = kept;
}

/// Whether slots may not be chosen by score: the window, what comes before `kept_before`, the other pins, and empty ones
/// (which are chosen before).
INLINE vi is_protected(const struct attention_step *step, vf positions, float position) {
    vi recent = positions >= splat(position - (float)step->cache->score.window);
    vi protected = recent | (positions < splat((float)step->kept_before));
    for (int i = 0; i < step->pin_count; i++) {
        vi behind = positions >= splat((float)step->pins[i].first);
        protected |= behind & (positions < splat((float)step->pins[i].end));
    }
    return protected;
}

/// Whether slots hold nothing that the layer still sees.
INLINE vi is_out_of_sight(const struct attention_cache *cache, vf positions, float position) {
    float first = cache->sliding_window > 0 ? position - (float)cache->sliding_window + 1 : 0;
    vi behind = positions < splat(first > 0 ? first : 0);
    if (cache->visible_sinks <= 0) return behind;
    return behind & ~((positions >= splat(0)) & (positions < splat((float)cache->visible_sinks)));
}

/// to = the sum of, or the larger of, to and from.
static void reduce_into(const float *from, int count, enum attention_reduction reduction, float *to) {
    for (int i = 0; i < count; i += LANES) {
        vf old = load_part(to + i, count - i, 0), new = load_part(from + i, count - i, 0);
        store_part(reduction == ATTENTION_MAX ? larger(old, new) : old + new, to + i, count - i);
    }
}
