/// Turning keys that are rotated already, in place, and what scores that depend on keys make of it.
#pragma once

#include "AttentionTypes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attention_cache;

/// Rows turn by fewer than 2 to the power of this positions at a time.
#define ATTENTION_TURN_BITS 24

/// How positions rotate the rows of a layer.
struct attention_rotation {
    int32_t pairs;         ///< of numbers that are rotated; the others of a row stay as they are
    bool turns_neighbours; ///< whether pairs are neighbours (2i, 2i + 1); else halves (i, i + pairs)
    /// `[ATTENTION_TURN_BITS][2][pairs]`: cosines, then sines, of turns by 1, 2, 4, ... positions.
    const double *powers;
};

/// A row, all heads' one after the other, and by how many positions it turns.
struct attention_turn {
    int32_t row, distance;
};

/// Floats of room that turning and recounting need.
size_t attention_turn_room(int32_t dimension, int32_t group, int32_t pairs);

/// Turns rows in place. Cheapest where rows that turn by the same distance follow each other.
///
/// - rows: of `dimension` numbers each
/// - room: `attention_turn_room` floats, aligned to 64 bytes
void attention_turn_rows(
    enum attention_level level, const struct attention_rotation *rotation, enum attention_type type, int32_t dimension,
    void *rows, const struct attention_turn *turns, int32_t count, float *room);

/// Under ATTENTION_WINDOW_SUM: sums anew what the queries of the window give the entries in some rows, over their keys as
/// they are now. What leaves the window later is computed from them. Nothing else changes.
///
/// - caches: the layer as it sees itself, then as each block sees it that attends to its entries; `cache_count` of them
/// - rows: ascending by head; distances are not looked at
/// - seen: tokens of the sequence so far
/// - phase: see `attention_run`; before the next token
/// - room: `attention_turn_room` floats, aligned to 64 bytes
void attention_recount(
    enum attention_level level, const struct attention_cache *caches, int32_t cache_count,
    const struct attention_turn *rows, int32_t count, int64_t seen, int32_t phase, float *room);
