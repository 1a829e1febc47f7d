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

/// A layer whose oldest entries are moved up, in each head entry r to `floor` + r, until one is there already.
struct attention_raising {
    int32_t heads, count;    ///< `count` slots per head
    int32_t base;            ///< positions are counted from here,
    int32_t shift;           ///< and from so much farther afterwards
    int32_t floor;           ///< counted from the base as it was
    const float *held;       ///< `[heads][count]`: positions, -1 where empty; `[count]` if all heads hold the same
    bool shares_positions;   ///< whether they do
    /// `[heads][count]`: where keys were moved to, at most the entry's own position for all others. Becomes where keys are
    /// moved to, counted from the base as it is afterwards.
    float *moved;
};

/// Bytes of room that raising needs, aligned to 8.
size_t attention_raising_room(int32_t count);

/// Moves a layer's oldest entries up.
///
/// - turns: the rows that turn, ascending by head, in each the moved entries first; room for heads * count
/// - returns: how many turn
int32_t attention_raise(const struct attention_raising *raising, void *room, struct attention_turn *turns);

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
