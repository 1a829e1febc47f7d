// Products of rounded vectors with a quantised matrix, LANES rows at a time, a row in each lane.
//
// A vector's four bytes are the same for all lanes, so that no lanes are added up, and rows are read once for eight vectors.
#pragma once

#include "attend.h"
#include "packed.h"

_Static_assert(ROUNDED_TOGETHER == MOST_QUERIES, "vectors that lie together are multiplied together");

/// Bytes of vectors that are multiplied with all rows before others are: what stays in the second cache.
#define BYTES_AT_A_TIME 262144

/// Rounds numbers that have one scale: to the nearest of -127 to 127 times 1/127 of the largest.
static void round_numbers(const float *numbers, int64_t count, bool halves, int32_t offset, struct query_block *to) {
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
    vf most = splat(0);
    for (int64_t d = 0; d < count; d += LANES) most = larger(most, larger(load(numbers + d), -load(numbers + d)));
    float largest = max_lanes(most), scale = largest / 127;
    // Where the scale is not a normal number, numbers are as good as nothing.
    float inverse = scale >= 0x1p-126f ? 127 / largest : 0;
    if (halves) scale = (float)(_Float16)scale;
    for (; count > 0; count -= 32, numbers += 32, to += ROUNDED_TOGETHER) {
        vf total = splat(0);
        for (int d = 0; d < 32; d += LANES) {
            vf whole = load(numbers + d) * inverse + magic;
            whole -= magic;
            total += whole;
            vi8 codes = __builtin_convertvector(__builtin_convertvector(whole, vi), vi8);
            memcpy(to->codes + d, &codes, sizeof codes);
        }
        float sum = sum_lanes(total);
        // What is not a number must not become one.
        to->scale = sum == sum ? scale : sum;
        to->total = sum * to->scale;
        to->start = sum == sum ? -offset * (int32_t)sum : 0;
    }
}

static void round_vectors(
    const struct product_vectors *vectors, struct query_block *to, int32_t thread, int32_t threads
) {
    const int64_t size = product_block(vectors->type), blocks = vectors->width / size, all = vectors->count * blocks;
    const bool halves = vectors->type == PRODUCT_Q8_0;
    for (int64_t i = all * thread / threads; i < all * (thread + 1) / threads; i++) {
        int64_t vector = i / blocks, first = vector / ROUNDED_TOGETHER * ROUNDED_TOGETHER;
        struct query_block *block =
            to + first * (vectors->width / 32) + i % blocks * (size / 32) * ROUNDED_TOGETHER + vector - first;
        round_numbers(vectors->numbers + i * size, size, halves, halves ? 128 : 0, block);
    }
}

INLINE vw load_lanes(const void *from) {
    vw words;
    memcpy(&words, from, sizeof words);
    return words;
}

INLINE vf load_halves(const uint16_t *from) {
    vu16 halves;
    memcpy(&halves, from, sizeof halves);
    return half_to_float(halves);
}

/// Adds the products of four numbers of LANES rows, word `i` of a block, with each vector's.
INLINE void add_word(const int nq, vw numbers, const struct query_block *vectors, int i, vw *whole) {
    UNROLL
    for (int q = 0; q < nq; q++) whole[q] = add_four(whole[q], numbers, broadcast_word(vectors[q].codes + 4 * i));
}

/// Products of LANES rows of PRODUCT_Q8_0, from `first` on, with `nq` vectors; `nq` is a constant wherever this is inlined.
INLINE void multiply_q8_0(
    const struct product_matrix *matrix, const int nq, int64_t first, int lane, const struct query_block *vectors, float *to
) {
    const struct packed_q8_0 *block = packed_q8_0(matrix, first);
    const uint16_t *scales = packed_scales(matrix, first) + lane;
    vf sums[MOST_QUERIES];
    UNROLL
    for (int q = 0; q < nq; q++) sums[q] = splat(0);
    for (int64_t b = 0; b < matrix->width / 32; b++, block++, scales += PRODUCT_ROWS, vectors += ROUNDED_TOGETHER) {
        vw whole[MOST_QUERIES];
        UNROLL
        for (int q = 0; q < nq; q++) whole[q] = broadcast_word(&vectors[q].start);
        UNROLL
        for (int i = 0; i < 8; i++) add_word(nq, load_lanes(&block->numbers[i][lane]), vectors, i, whole);
        vf scale = load_halves(scales);
        UNROLL
        for (int q = 0; q < nq; q++) sums[q] += (vf)WORDS(cvtepi32_ps)(whole[q]) * (scale * vectors[q].scale);
    }
    UNROLL
    for (int q = 0; q < nq; q++) store(sums[q], to + q * matrix->rows);
}

/// The byte of each word that belongs to a part of a block, as a float.
INLINE vf part_of(vw bytes, int part) {
    return (vf)WORDS(cvtepi32_ps)(WORDS(srli_epi32)(bytes, 8 * (part % 4)) & WORDS(set1_epi32)(255));
}

/// The same for PRODUCT_Q4_K.
INLINE void multiply_q4_k(
    const struct product_matrix *matrix, const int nq, int64_t first, int lane, const struct query_block *vectors, float *to
) {
    const vw six = WORDS(set1_epi8)(63), low = WORDS(set1_epi8)(15), high = WORDS(set1_epi8)(48);
    const struct packed_q4_k *block = packed_q4_k(matrix, first);
    vf sums[MOST_QUERIES];
    UNROLL
    for (int q = 0; q < nq; q++) sums[q] = splat(0);
    for (int64_t b = 0; b < matrix->width / 256; b++, block++) {
        vw a = load_lanes(&block->parts[0][lane]), m = load_lanes(&block->parts[1][lane]);
        vw rest = load_lanes(&block->parts[2][lane]);
        // Four scales or offsets have six bits of a byte, the others four bits of another and the two that were left.
        const vw scales[2] = {a & six, (rest & low) | (WORDS(srli_epi32)(a, 2) & high)};
        const vw offsets[2] = {m & six, (WORDS(srli_epi32)(rest, 4) & low) | (WORDS(srli_epi32)(m, 2) & high)};
        vf scale = load_halves(&block->scale[lane]), lowest = load_halves(&block->lowest[lane]);
        for (int part = 0; part < 8; part++, vectors += ROUNDED_TOGETHER) {
            vw whole[MOST_QUERIES];
            UNROLL
            for (int q = 0; q < nq; q++) whole[q] = WORDS(set1_epi32)(0);
            UNROLL
            for (int i = 0; i < 8; i++) {
                vw bytes = load_lanes(&block->numbers[part / 2][i][lane]);
                add_word(nq, WORDS(srli_epi32)(bytes, part % 2 * 4) & low, vectors, i, whole);
            }
            vf own = scale * part_of(scales[part / 4], part), offset = lowest * part_of(offsets[part / 4], part);
            UNROLL
            for (int q = 0; q < nq; q++) {
                sums[q] += (vf)WORDS(cvtepi32_ps)(whole[q]) * (own * vectors[q].scale);
                sums[q] -= offset * vectors[q].total;
            }
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) store(sums[q], to + q * matrix->rows);
}

/// Products of PRODUCT_ROWS rows with some vectors that lie together.
static void multiply_panel(
    const struct product_matrix *matrix, int64_t first, const struct query_block *vectors, int count, float *output
) {
    for (int lane = 0; lane < PRODUCT_ROWS; lane += LANES) {
        float *to = output + first + lane;
        switch (matrix->type) {
        case PRODUCT_Q8_0: CALL_QUERIES(count, multiply_q8_0, matrix, first, lane, vectors, to) break;
        case PRODUCT_Q4_K: CALL_QUERIES(count, multiply_q4_k, matrix, first, lane, vectors, to) break;
        }
    }
}

static void multiply_vectors(
    const struct product_matrix *matrix, const struct query_block *vectors, int64_t count, float *output, int32_t thread,
    int32_t threads
) {
    const int64_t blocks = matrix->width / 32, panels = matrix->rows / PRODUCT_ROWS;
    const int64_t first = panels * thread / threads, end = panels * (thread + 1) / threads;
    int64_t part = BYTES_AT_A_TIME / ((int64_t)sizeof *vectors * blocks) / ROUNDED_TOGETHER * ROUNDED_TOGETHER;
    if (part < ROUNDED_TOGETHER) part = ROUNDED_TOGETHER;
    for (int64_t begin = 0; begin < count; begin += part) {
        const int64_t last = count - begin < part ? count : begin + part;
        for (int64_t panel = first; panel < end; panel++)
            for (int64_t v = begin; v < last; v += ROUNDED_TOGETHER)
                multiply_panel(
                    matrix, panel * PRODUCT_ROWS, vectors + v * blocks,
                    last - v < ROUNDED_TOGETHER ? (int)(last - v) : ROUNDED_TOGETHER, output + v * matrix->rows);
    }
}
