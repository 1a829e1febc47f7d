// How many queries a tile of a prompt has, and the memory that it works in.
#pragma once

#include "workspace.h"

/// Rows of keys or values that are made floats at a time.
#define BLOCK 64
/// Queries of a tile, at least one token's; enough that making a block floats is little beside what is done with it.
#define TILE_QUERIES 192

static inline int tile_tokens(int group) { return TILE_QUERIES / group > 1 ? TILE_QUERIES / group : 1; }

/// Whole blocks, and a line, so that queries do not all lie in the same lines of a cache.
static inline size_t kept_stride(int32_t chunk) {
    return chunk > 0 ? round_up((size_t)chunk, BLOCK) + WORKSPACE_LINE : 0;
}

/// The areas of a workspace, for one tile.
struct tile_memory {
    float *keys;           ///< `[dimension][BLOCK]`
    float *values;         ///< `[BLOCK][padded]`
    float *scores;         ///< `[queries][BLOCK]`
    float *queries;        ///< `[queries][dimension]`, times the scale
    float *sums;           ///< `[queries][padded]`
    float *peaks, *totals; ///< `[queries]`: the largest product so far, and the sum of the weights
    float *kept;           ///< `[queries][kept_stride]`: products with all rows of a chunk
    size_t kept_stride;
    size_t padded;         ///< a float for each number of a row, then zeros
    size_t floats;         ///< of the whole workspace
};

///
/// - chunk: rows whose products are kept.
static inline struct tile_memory tile_memory_at(float *base, int32_t dimension, int32_t group, int32_t chunk) {
    size_t queries = (size_t)tile_tokens(group) * (size_t)group, used = 0;
    struct tile_memory m = {.padded = padded_row(dimension), .kept_stride = kept_stride(chunk)};
    m.keys = take_area(base, &used, m.padded * BLOCK);
    m.values = take_area(base, &used, m.padded * BLOCK);
    m.scores = take_area(base, &used, queries * BLOCK);
    m.queries = take_area(base, &used, queries * m.padded);
    m.sums = take_area(base, &used, queries * m.padded);
    m.peaks = take_area(base, &used, queries);
    m.totals = take_area(base, &used, queries);
    m.kept = take_area(base, &used, queries * m.kept_stride);
    m.floats = used;
    return m;
}
