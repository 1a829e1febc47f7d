// What one token of one KV head reads, and how a team divides it.
#pragma once

#include "format.h"
#include "slots.h"
#include "team.h"
#include "workspace.h"

/// One token of one KV head.
struct unit {
    struct attention_step step;
    const struct attention_rule_table *rule; ///< NULL where nothing is scored
    int used; ///< filled slots before this token
    int slot; ///< the token's, where nothing is scored; else negative
    const float *key, *value;
    const float *frozen_query; ///< `[group][dimension]`, not scaled; NULL if frozen entries see the step's
    const float *sinks; ///< `[group]`; NULL if there are none
    float *output;
};

/// The rows that a unit reads.
struct rows {
    const char *frozen_keys, *frozen_values, *keys, *values;
    const float *frozen_positions, *positions;
    const float *places; ///< of the slots; NULL if all stand in one frame
    int64_t frozen;       ///< frozen entries
    int slots;            ///< slots that may be filled, this token's included
    size_t key_bytes, value_bytes; ///< of one row
};

static struct rows rows_of(const struct unit *u) {
    const struct attention_slots *slots = &u->step.cache->slots;
    const struct attention_frozen *frozen = &u->step.cache->frozen;
    size_t at = head_offset(u->step.cache, u->step.head);
    struct rows r = {
        .key_bytes = stored_bytes(slots->key_type, slots->dimension),
        .value_bytes = stored_bytes(slots->value_type, slots->dimension),
        .positions = u->step.positions,
        .slots = slots->has_gaps || u->used >= slots->count ? slots->count : u->used + 1,
    };
    if (!u->rule && u->slot >= r.slots) r.slots = u->slot + 1;
    r.keys = (const char *)slots->keys + at * r.key_bytes;
    r.values = (const char *)slots->values + at * r.value_bytes;
    if (slots->places) r.places = slots->places + at;
    if (frozen->starts) {
        int number = model_head(u->step.cache, u->step.head);
        size_t start = (size_t)frozen->starts[number];
        r.frozen = frozen->starts[number + 1] - frozen->starts[number];
        r.frozen_keys = (const char *)frozen->keys + start * r.key_bytes;
        r.frozen_values = (const char *)frozen->values + start * r.value_bytes;
        r.frozen_positions = frozen->positions + start;
    }
    return r;
}

/// The entries that a thread reads: first frozen ones, then slots.
struct range {
    int64_t frozen_begin, frozen_end;
    int begin, end; ///< slots
    int count;      ///< slots
    int frozen;     ///< frozen entries
    size_t frozen_at; ///< where their scores begin, behind those of all slots
};

static struct range range_of(const struct team *team, const struct rows *rows) {
    int64_t frozen = rows->frozen, total = frozen + rows->slots;
    int64_t share = (total / team->size + LANES) / LANES * LANES;
    int64_t first = share * team->rank, last = first + share;
    if (first > total) first = total;
    if (last > total || team->rank == team->size - 1) last = total;
    struct range r;
    r.frozen_begin = first < frozen ? first : frozen;
    r.frozen_end = last < frozen ? last : frozen;
    // Ranges of slots begin at full vectors, so that no two threads write into one.
    int64_t begin = first > frozen ? first - frozen : 0, end = last > frozen ? last - frozen : 0;
    r.begin = first == total ? rows->slots : (int)(begin / LANES * LANES);
    r.end = last == total ? rows->slots : (int)(end / LANES * LANES);
    if (r.begin > r.end) r.begin = r.end;
    r.count = r.end - r.begin;
    r.frozen = (int)(r.frozen_end - r.frozen_begin);
    r.frozen_at = round_up((size_t)rows->slots, LANES) + (size_t)r.frozen_begin;
    return r;
}
