// The memory that turning keys works in.
#pragma once

#include "include/CAttention.h"
#include "workspace.h"

/// Entries that are counted anew at a time, and queries whose products with them are kept at a time.
enum { TURN_TILE = 32, TURN_QUERIES = 64 };

struct turn_room {
    double *cosines, *sines;
    float *rounded_cosines, *rounded_sines;
    float *row;  ///< one row
    float *tile; ///< `[dimension][TURN_TILE]`
    float *products; ///< `[queries][TURN_TILE]`
    float *positions, *fresh, *expiring; ///< `[TURN_TILE]`
    size_t floats; ///< of all of it
};

/// The room that begins at `base`, or its size if that is NULL.
static inline struct turn_room turn_room_at(float *base, int32_t dimension, int32_t group, int32_t pairs) {
    size_t angles = (size_t)pairs, row = padded_row(dimension);
    size_t queries = group > TURN_QUERIES ? (size_t)group : TURN_QUERIES;
    struct turn_room room = {.floats = 0};
    room.cosines = (double *)take_area(base, &room.floats, 2 * angles);
    room.sines = (double *)take_area(base, &room.floats, 2 * angles);
    room.rounded_cosines = take_area(base, &room.floats, angles);
    room.rounded_sines = take_area(base, &room.floats, angles);
    room.row = take_area(base, &room.floats, row);
    room.tile = take_area(base, &room.floats, row * TURN_TILE);
    room.products = take_area(base, &room.floats, queries * TURN_TILE);
    room.positions = take_area(base, &room.floats, TURN_TILE);
    room.fresh = take_area(base, &room.floats, TURN_TILE);
    room.expiring = take_area(base, &room.floats, TURN_TILE);
    return room;
}

/// Entries of one head whose sums are made anew: a tile of them, or all of one head after the other.
struct recounted {
    const struct attention_cache *caches;
    int32_t cache_count;
    int head;
    const struct attention_turn *rows;
    int count; ///< at most TURN_TILE
    int64_t seen;
    int32_t phase;
    struct turn_room room;
};
