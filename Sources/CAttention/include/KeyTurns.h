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

/// A head whose oldest entries are moved up: entry r to `floor` + r, until one is there already.
struct attention_raising {
    int32_t count; ///< slots
    int32_t base;  ///< positions are counted from here,
    int32_t shift; ///< and from so much farther afterwards
    int32_t floor; ///< counted from the base as it was
};

/// Where the keys of a head's entries are.
///
/// - held: `[count]`: positions, -1 where empty
/// - moved: `[count]`: where keys were moved to; at most the entry's own position for all others
/// - places: `[count]`: the result; the largest integer where a slot is empty
/// - returns: the lowest of them
int32_t attention_places(
    const struct attention_raising *raising, const float *held, const float *moved, int32_t *places);

/// Moves a head's oldest entries up.
///
/// - lowest, places: see `attention_places`
/// - first_row: of the head
/// - moved: becomes where keys are moved to, counted from the base as it is afterwards
/// - order: room for floor + count - lowest numbers
/// - turns: the rows that turn, those of moved entries first and in their order; room for `count`
/// - returns: how many turn; -1, and nothing is changed, if two entries are in one place
int32_t attention_raise(
    const struct attention_raising *raising, int32_t lowest, const int32_t *places, int32_t first_row, float *moved,
    int32_t *order, struct attention_turn *turns);

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
