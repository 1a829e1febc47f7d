// Turning rows in place, for the instructions that the including file is compiled for.
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

#ifdef HALF_IS_NATIVE

typedef float v8 __attribute__((ext_vector_type(8)));
typedef _Float16 vh8 __attribute__((ext_vector_type(8)));

/// Whether eight numbers of a row can be read and written at once.
INLINE bool takes_eights(const enum attention_type type) { return type == ATTENTION_F32 || type == ATTENTION_F16; }

INLINE v8 load_eight(const enum attention_type type, const char *row, int d) {
    v8 v;
    vh8 half;
    if (type == ATTENTION_F32) {
        memcpy(&v, row + 4 * (size_t)d, sizeof v);
        return v;
    }
    memcpy(&half, row + 2 * (size_t)d, sizeof half);
    return __builtin_convertvector(half, v8);
}

INLINE void store_eight(const enum attention_type type, v8 v, char *row, int d) {
    vh8 half = __builtin_convertvector(v, vh8);
    if (type == ATTENTION_F32) memcpy(row + 4 * (size_t)d, &v, sizeof v);
    else memcpy(row + 2 * (size_t)d, &half, sizeof half);
}

/// Whether a row can be turned where it lies, eight numbers at a time.
INLINE bool turns_eights(const enum attention_type type, const struct attention_rotation *rotation) {
    return takes_eights(type) && rotation->pairs % (rotation->turns_neighbours ? 4 : 8) == 0;
}

INLINE void turn_eights(const enum attention_type type, const struct following_turn *turn, char *row) {
    int pairs = turn->rotation->pairs;
    const char *cosines = (const char *)turn->room.rounded_cosines, *sines = (const char *)turn->room.rounded_sines;
    if (turn->rotation->turns_neighbours) {
        const v8 signs = {-1, 1, -1, 1, -1, 1, -1, 1};
        for (int i = 0; i < pairs; i += 4) {
            float __attribute__((ext_vector_type(4))) cosine, sine;
            memcpy(&cosine, cosines + 4 * i, sizeof cosine);
            memcpy(&sine, sines + 4 * i, sizeof sine);
            v8 x = load_eight(type, row, 2 * i), other = __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6);
            v8 by = __builtin_shufflevector(sine, sine, 0, 0, 1, 1, 2, 2, 3, 3) * signs;
            store_eight(type, x * __builtin_shufflevector(cosine, cosine, 0, 0, 1, 1, 2, 2, 3, 3) + other * by, row, 2 * i);
        }
        return;
    }
    for (int i = 0; i < pairs; i += 8) {
        v8 x = load_eight(type, row, i), y = load_eight(type, row, i + pairs);
        v8 cosine = load_eight(ATTENTION_F32, cosines, i), sine = load_eight(ATTENTION_F32, sines, i);
        store_eight(type, x * cosine - y * sine, row, i);
        store_eight(type, x * sine + y * cosine, row, i + pairs);
    }
}

#endif

/// Reads a row into floats; `to` has room for whole vectors.
INLINE void read_row(const enum attention_type type, const char *row, int dimension, float *to) {
    int d = 0;
    for (; d + LANES <= dimension; d += LANES) store(load_row(type, row, d), to + d);
#if defined(HALF_IS_NATIVE) && LANES == 16
    // By way of memory a vector would wait for its halves.
    if (d + 8 <= dimension && takes_eights(type)) {
        store_eight(ATTENTION_F32, load_eight(type, row, d), (char *)to, d);
        d += 8;
    }
#endif
    if (d < dimension) store(load_row_rest(type, row, d, dimension - d), to + d);
}

/// Writes a row of floats.
INLINE void write_row(const enum attention_type type, const float *from, char *row, int dimension) {
#if defined(HALF_IS_NATIVE) || defined(__aarch64__)
    if (type == ATTENTION_F16) {
        for (int d = 0; d < dimension; d += LANES) {
            vh half = __builtin_convertvector(load(from + d), vh);
            size_t bytes = 2 * (size_t)(dimension - d);
            memcpy(row + 2 * (size_t)d, &half, bytes < sizeof half ? bytes : sizeof half);
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
#ifdef HALF_IS_NATIVE
        if (turns_eights(type, rotation)) {
            turn_eights(type, &turn, row);
            continue;
        }
#endif
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
