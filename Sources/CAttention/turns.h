// Turning rows in place and counting anew what queries give them, for the instructions that the including file is compiled
// for.
#pragma once

#include "slots.h"
#include "storage.h"
#include "turn_room.h"

/// A turn that follows the distance of one row after the other.
struct following_turn {
    const struct attention_rotation *rotation;
    struct turn_room room;
    int64_t distance;
};

static void round_turn(struct following_turn *turn) {
    for (int i = 0; i < turn->rotation->pairs; i++) {
        turn->room.rounded_cosines[i] = (float)turn->room.cosines[i];
        turn->room.rounded_sines[i] = (float)turn->room.sines[i];
    }
}

static struct following_turn no_turn(const struct attention_rotation *rotation, struct turn_room room) {
    struct following_turn turn = {.rotation = rotation, .room = room};
    for (int i = 0; i < rotation->pairs; i++) {
        room.cosines[i] = 1;
        room.sines[i] = 0;
    }
    round_turn(&turn);
    return turn;
}

typedef double vd __attribute__((ext_vector_type(4)));

/// Turns four pairs more.
INLINE void add_turns(double *cosines, double *sines, const double *by_cosines, const double *by_sines, double sign) {
    vd cosine, sine, by_cosine, by_sine;
    memcpy(&cosine, cosines, sizeof cosine);
    memcpy(&sine, sines, sizeof sine);
    memcpy(&by_cosine, by_cosines, sizeof by_cosine);
    memcpy(&by_sine, by_sines, sizeof by_sine);
    by_sine *= sign;
    vd turned = cosine * by_cosine - sine * by_sine;
    sine = sine * by_cosine + cosine * by_sine;
    memcpy(cosines, &turned, sizeof turned);
    memcpy(sines, &sine, sizeof sine);
}

/// Makes it the turn by so many positions: by the powers of two that the change is made of.
static void turn_to(struct following_turn *turn, int64_t distance) {
    int pairs = turn->rotation->pairs;
    int64_t change = distance - turn->distance;
    if (change == 0) return;
    double sign = change < 0 ? -1 : 1, *cosines = turn->room.cosines, *sines = turn->room.sines;
    uint64_t rest = (uint64_t)(change < 0 ? -change : change);
    const double *power = turn->rotation->powers;
    for (int bit = 0; rest && bit < ATTENTION_TURN_BITS; bit++, rest >>= 1, power += 2 * pairs) {
        if (!(rest & 1)) continue;
        int i = 0;
        for (; i + 4 <= pairs; i += 4) add_turns(cosines + i, sines + i, power + i, power + pairs + i, sign);
        for (; i < pairs; i++) {
            double cosine = cosines[i], by = sign * power[pairs + i];
            cosines[i] = cosine * power[i] - sines[i] * by;
            sines[i] = sines[i] * power[i] + cosine * by;
        }
    }
    turn->distance = distance;
    round_turn(turn);
}

/// Turns pairs of a row of floats.
INLINE void rotate_pairs(float *row, int pairs, bool neighbours, const float *cosines, const float *sines) {
    int step = neighbours ? 2 : 1, apart = neighbours ? 1 : pairs;
    for (int i = 0; i < pairs; i++) {
        float x = row[step * i], y = row[step * i + apart];
        row[step * i] = x * cosines[i] - y * sines[i];
        row[step * i + apart] = x * sines[i] + y * cosines[i];
    }
}

/// Copies part of a row; half a vector of 16-bit numbers without a call.
INLINE void copy_part(void *to, const void *from, size_t bytes) {
    if (bytes == LANES) memcpy(to, from, LANES);
    else memcpy(to, from, bytes);
}

/// Reads a row into floats; `to` has room for whole vectors.
INLINE void read_row(const enum attention_type type, const char *row, int dimension, float *to) {
    int d = 0;
    for (; d + LANES <= dimension; d += LANES) store(load_row(type, row, d), to + d);
    if (d == dimension) return;
    char rest[LANES * sizeof(float)] = {0};
    copy_part(rest, row + stored_bytes(type, d), stored_bytes(type, dimension - d));
    store(load_row(type, rest, 0), to + d);
}

/// Writes a row of floats.
INLINE void write_row(const enum attention_type type, const float *from, char *row, int dimension) {
#if defined(HALF_IS_NATIVE) || defined(__aarch64__)
    if (type == ATTENTION_F16) {
        for (int d = 0; d < dimension; d += LANES) {
            vh half = __builtin_convertvector(load(from + d), vh);
            if (d + LANES <= dimension) memcpy(row + 2 * (size_t)d, &half, sizeof half);
            else copy_part(row + 2 * (size_t)d, &half, 2 * (size_t)(dimension - d));
        }
        return;
    }
#endif
    attention_store_row(type, from, row, dimension);
}

INLINE void turn_typed(
    const enum attention_type type, const struct attention_rotation *rotation, int dimension, char *rows,
    const struct attention_turn *turns, int count, struct turn_room room
) {
    struct following_turn turn = no_turn(rotation, room);
    size_t bytes = stored_bytes(type, dimension);
    for (int i = 0; i < count; i++) {
        char *row = rows + (size_t)turns[i].row * bytes;
        turn_to(&turn, turns[i].distance);
        read_row(type, row, dimension, room.row);
        const float *cosines = room.rounded_cosines, *sines = room.rounded_sines;
        if (rotation->turns_neighbours) rotate_pairs(room.row, rotation->pairs, true, cosines, sines);
        else rotate_pairs(room.row, rotation->pairs, false, cosines, sines);
        write_row(type, room.row, row, dimension);
    }
}

static void turn_rows(
    enum attention_type type, const struct attention_rotation *rotation, int dimension, char *rows,
    const struct attention_turn *turns, int count, struct turn_room room
) {
    CALL_TYPED(type, turn_typed, rotation, dimension, rows, turns, count, room);
}

// MARK: Counting anew

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
INLINE void multiply_entries(const float *const *queries, const int rows, const float *tile, int dimension, float *to) {
    for (int e = 0; e < TURN_TILE; e += 2 * LANES) {
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
            multiply_entries(queries, 4, r->room.tile, dimension, to);
            to += 4 * TURN_TILE;
            pending = 0;
        }
    }
    for (int i = 0; i < pending; i++)
        multiply_entries(queries + i, 1, r->room.tile, dimension, to + i * TURN_TILE);
}

/// Adds the weights of one query, whose products are known.
static void add_weights(
    const struct recounted *r, const struct attention_cache *cache, struct ring_query query, const float *products
) {
    int group = cache->slots.group;
    const float *normalizers = cache->score.window_sum.normalizers + ring_group(r, query);
    float *sums = query.position >= r->seen - r->phase ? r->room.fresh : r->room.expiring;
    for (int e = 0; e < TURN_TILE; e += LANES) {
        vf total = splat(0);
        for (int g = 0; g < group; g++) {
            vf weight = exp_lanes(load(products + g * TURN_TILE + e) * cache->scale - normalizers[g]);
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
