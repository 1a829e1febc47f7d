// Counting anew what a window's queries give rows that were turned, for the instructions that the including file is compiled
// for.
#pragma once

#include "turns.h"

INLINE void read_tile_typed(const enum attention_type type, const struct recounted *r) {
    const struct attention_slots *slots = &r->caches->slots;
    size_t bytes = stored_bytes(type, slots->dimension);
    float *tile = r->room.tile;
    memset(tile, 0, (size_t)slots->dimension * TURN_TILE * sizeof(float));
    for (int i = 0; i < r->count; i++) {
        int row = r->rows[i].row;
        float *key = r->room.row;
        read_row(type, (const char *)slots->keys + (size_t)row * bytes, slots->dimension, key);
        if (slots->places && slots->places[row] > 0)
            rotate_pairs(
                key, slots->turned_pairs, slots->turns_neighbours, slots->turn, slots->turn + slots->turned_pairs);
        for (int d = 0; d < slots->dimension; d++) tile[d * TURN_TILE + i] = key[d];
    }
}

/// Lays the keys down number by number: `[dimension][TURN_TILE]`.
static void read_tile(enum attention_type type, const struct recounted *r) { CALL_TYPED(type, read_tile_typed, r); }

/// Products of up to four queries with the tile's keys: `[rows][TURN_TILE]`.
INLINE void multiply_entries(
    const float *const *queries, const int rows, const float *tile, int dimension, int count, float *to
) {
    for (int e = 0; e < count; e += 2 * LANES) {
        vf sums[4][2] = {0};
        for (int d = 0; d < dimension; d++) {
            vf a = load(tile + (size_t)d * TURN_TILE + e), b = load(tile + (size_t)d * TURN_TILE + e + LANES);
            UNROLL
            for (int row = 0; row < rows; row++) {
                sums[row][0] += a * queries[row][d];
                sums[row][1] += b * queries[row][d];
            }
        }
        UNROLL
        for (int row = 0; row < rows; row++) {
            store(sums[row][0], to + row * TURN_TILE + e);
            store(sums[row][1], to + row * TURN_TILE + e + LANES);
        }
    }
}

/// A query of the ring.
struct ring_query {
    int64_t position;
    int32_t row; ///< position mod query_count
};

INLINE struct ring_query next_query(struct ring_query query, int32_t count) {
    return (struct ring_query){query.position + 1, query.row + 1 < count ? query.row + 1 : 0};
}

/// Where the group of a query at the head begins, in query heads.
INLINE size_t ring_group(const struct recounted *r, struct ring_query query) {
    const struct attention_slots *slots = &r->caches->slots;
    return ((size_t)query.row * (size_t)slots->heads + (size_t)r->head) * (size_t)slots->group;
}

/// Products of the queries from `query` on with the tile's keys: `[queries][group][TURN_TILE]`.
static void multiply_queries(
    const struct recounted *r, const struct attention_cache *cache, struct ring_query query, int count
) {
    int group = cache->slots.group, dimension = cache->slots.dimension, pending = 0;
    const float *queries[4];
    float *to = r->room.products;
    for (; count > 0; count--, query = next_query(query, cache->score.window_sum.query_count)) {
        const float *first = cache->score.window_sum.queries + ring_group(r, query) * (size_t)dimension;
        for (int g = 0; g < group; g++) {
            queries[pending++] = first + (size_t)g * (size_t)dimension;
            if (pending < 4) continue;
            multiply_entries(queries, 4, r->room.tile, dimension, r->count, to);
            to += 4 * TURN_TILE;
            pending = 0;
        }
    }
    for (int i = 0; i < pending; i++)
        multiply_entries(queries + i, 1, r->room.tile, dimension, r->count, to + i * TURN_TILE);
}

/// 2^x for x <= 0, nearly 0 where the result would be below the normal numbers: as `exp_lanes`, with fewer operations.
INLINE vf power_lanes(vf x) {
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
    x = larger(x, splat(-126));
    vf shifted = x + magic, r = x - (shifted - magic);
    vf p = r * 1.5403530e-4f + 1.3333558e-3f;
    p = p * r + 9.6181291e-3f;
    p = p * r + 5.5504109e-2f;
    p = p * r + 2.4022651e-1f;
    p = p * r + 6.9314718e-1f;
    p = p * r + 1.0f;
    return as_floats(as_bits(p) + (as_bits(shifted) << 23));
}

/// Adds the weights of one query, whose products are known.
static void add_weights(
    const struct recounted *r, const struct attention_cache *cache, struct ring_query query, const float *products
) {
    const float log2e = 1.44269504088896341f, scale = cache->scale * log2e;
    int group = cache->slots.group;
    const float *normalizers = cache->score.window_sum.normalizers + ring_group(r, query);
    float *sums = query.position >= r->seen - r->phase ? r->room.fresh : r->room.expiring;
    for (int e = 0; e < r->count; e += LANES) {
        vf total = splat(0);
        for (int g = 0; g < group; g++) {
            vf weight = power_lanes(load(products + g * TURN_TILE + e) * scale - normalizers[g] * log2e);
            total = cache->score.group_reduction == ATTENTION_MAX ? larger(total, weight) : total + weight;
        }
        vi isOlder = load(r->room.positions + e) <= splat((float)query.position);
        store(load(sums + e) + choose(isOlder, total, splat(0)), sums + e);
    }
}

static void recount_tile(const struct recounted *r) {
    const struct attention_cache *own = r->caches;
    const struct attention_window_sum *sum = &own->score.window_sum;
    read_tile(own->slots.key_type, r);
    for (int i = 0; i < TURN_TILE; i++) {
        r->room.positions[i] = i < r->count ? own->slots.positions[r->rows[i].row] : INFINITY;
        r->room.fresh[i] = r->room.expiring[i] = 0;
    }
    int group = own->slots.group, step = group < TURN_QUERIES ? TURN_QUERIES / group : 1;
    int64_t first = r->seen > sum->query_count ? r->seen - sum->query_count : 0;
    for (int i = 0; i < r->cache_count; i++) {
        struct ring_query query = {first, (int32_t)(first % sum->query_count)};
        while (query.position < r->seen) {
            int count = r->seen - query.position < step ? (int)(r->seen - query.position) : step;
            multiply_queries(r, &r->caches[i], query, count);
            for (int q = 0; q < count; q++, query = next_query(query, sum->query_count))
                add_weights(r, &r->caches[i], query, r->room.products + q * group * TURN_TILE);
        }
    }
    for (int i = 0; i < r->count; i++) {
        sum->fresh[r->rows[i].row] = r->room.fresh[i];
        sum->expiring[r->rows[i].row] = r->room.expiring[i];
    }
}

static void recount(struct recounted all, int count) {
    const struct attention_turn *end = all.rows + count;
    int slots = all.caches->slots.count;
    for (struct recounted part = all; part.rows < end; part.rows += part.count) {
        part.head = part.rows->row / slots;
        part.count = 0;
        while (part.count < TURN_TILE && part.rows + part.count < end && part.rows[part.count].row / slots == part.head)
            part.count++;
        recount_tile(&part);
    }
}
