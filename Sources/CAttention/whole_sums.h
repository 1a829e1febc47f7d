// Sums of values in blocks by weights that are rounded to 16 bits, in whole numbers, for AVX-512 with VNNI.
//
// Two rows at a time, a number of both in each lane.
#pragma once

#include "whole.h"

/// Rows whose weights are rounded by the same scale.
#define ROUNDED_ROWS 64
#define ROUNDED_GROUPS (ROUNDED_ROWS / LANES)
/// Weights are rounded to whole numbers from 0 to this.
#define LARGEST_WEIGHT 32767.0f

/// Weights of some rows, times LARGEST_WEIGHT over the largest of them.
struct rounded_weights {
    float unit[MOST_QUERIES]; ///< what they were divided by
    float numbers[MOST_QUERIES][ROUNDED_ROWS];
    int16_t whole[MOST_QUERIES][ROUNDED_ROWS]; ///< times the rows' scales for a block
};

INLINE void scale_weights(const int nq, const float *weights, size_t stride, int count, struct rounded_weights *to) {
    for (int q = 0; q < nq; q++) {
        const float *from = weights + (size_t)q * stride;
        vf most = splat(0);
        for (int i = 0; i < count; i += LANES) most = larger(most, load_part(from + i, count - i, 0));
        float largest = max_lanes(most);
        // Weights that are nothing beside the largest of all, which is 1, would overflow the division.
        float factor = largest > 1e-30f ? LARGEST_WEIGHT / largest : 0;
        to->unit[q] = largest / LARGEST_WEIGHT;
        for (int i = 0; i < count; i += LANES) store(load_part(from + i, count - i, 0) * factor, to->numbers[q] + i);
    }
}

/// Two rows' 32 numbers, dealt into each other: in the order of WHOLE_ORDER.
INLINE void load_bytes(struct row_blocks rows, int row, __m512i pairs[2]) {
    const char *from = rows.from + (size_t)row * rows.stride + 2;
    __m512i a = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)from));
    __m512i b = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)(from + rows.stride)));
    pairs[0] = _mm512_unpacklo_epi16(a, b);
    pairs[1] = _mm512_unpackhi_epi16(a, b);
}

/// Fifth bits of two rows' numbers, as 16 in each 16-bit number: those of the first 16 numbers, then the others'.
INLINE void load_pair_fifths(const char *first, const char *second, __m512i fifths[2]) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    // Bit i of the first row comes to lane i's bit 4 and its bit 16 + i to bit 20; the second row's the other way round.
    __m512i a = _mm512_rolv_epi32(broadcast_word(first), _mm512_sub_epi32(_mm512_set1_epi32(36), lane));
    __m512i b = _mm512_rolv_epi32(broadcast_word(second), _mm512_sub_epi32(_mm512_set1_epi32(20), lane));
    const __m512i low = _mm512_set1_epi32(0x10), high = _mm512_set1_epi32(0x100000);
    fifths[0] = _mm512_or_si512(_mm512_and_si512(a, low), _mm512_and_si512(b, high));
    fifths[1] = _mm512_rol_epi32(_mm512_or_si512(_mm512_and_si512(a, high), _mm512_and_si512(b, low)), 16);
}

/// Four rows' 32 numbers of 4 or 5 bits: the first two rows' dealt into each other, first 16 numbers, then the others; then
/// the other two rows'.
INLINE void load_few_bits(const enum attention_type type, struct row_blocks rows, int row, __m512i pairs[4]) {
    const char *from = rows.from + (size_t)row * rows.stride;
    const __m512i by_word = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i by_byte = _mm512_broadcast_i32x4(_mm_set_epi8(15, 7, 11, 3, 14, 6, 10, 2, 13, 5, 9, 1, 12, 4, 8, 0));
    const __m512i low = _mm512_set1_epi16(15);
    __m512i all = load_pieces(from + blocks_of(type).bytes - 16, rows.stride);
    all = _mm512_permutexvar_epi32(by_word, all);
    // Else compilers make five of these two.
    __asm__("" : "+v"(all));
    all = _mm512_shuffle_epi8(all, by_byte);
    pairs[0] = _mm512_and_si512(all, low);
    pairs[1] = _mm512_and_si512(_mm512_srli_epi16(all, 4), low);
    pairs[2] = _mm512_and_si512(_mm512_srli_epi16(all, 8), low);
    pairs[3] = _mm512_srli_epi16(all, 12);
    if (has_fifths(type)) {
        const char *bits = from + blocks_of(type).bytes - 20;
        __m512i fifths[4];
        load_pair_fifths(bits, bits + rows.stride, fifths);
        load_pair_fifths(bits + 2 * rows.stride, bits + 3 * rows.stride, fifths + 2);
        UNROLL
        for (int i = 0; i < 4; i++) pairs[i] = _mm512_or_si512(pairs[i], fifths[i]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) pairs[i] = _mm512_sub_epi16(pairs[i], _mm512_set1_epi16((short)number_offset(type)));
}

/// sum += pairs * factors. Compilers make two instructions of it where they take that for faster.
INLINE __m512i add_pairs(__m512i sum, __m512i pairs, __m512i factors) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(pairs), "v"(factors));
    return sum;
}

/// Adds 16 rows' blocks by their whole weights, from row `first` of these on.
INLINE void add_whole(
    const enum attention_type type, const int nq, struct row_blocks rows, int first,
    const struct rounded_weights *weights, __m512i sums[MOST_QUERIES][2]
) {
    for (int row = 0; row < LANES; row += 4) {
        __m512i pairs[4];
        if (type == ATTENTION_Q8_0) {
            load_bytes(rows, row, pairs);
            load_bytes(rows, row + 2, pairs + 2);
        } else {
            load_few_bits(type, rows, row, pairs);
        }
        UNROLL
        for (int q = 0; q < nq; q++) {
            const int16_t *of = weights->whole[q] + first + row;
            UNROLL
            for (int i = 0; i < 4; i++)
                sums[q][i % 2] = add_pairs(sums[q][i % 2], pairs[i], broadcast_word(of + i / 2 * 2));
        }
    }
}

/// Where sums of numbers dealt by `load_bytes` belong.
INLINE void put_in_order(const enum attention_type type, vf sums[2]) {
    if (type != ATTENTION_Q8_0) return;
    vf low = sums[0], high = sums[1];
    sums[0] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    sums[1] = __builtin_shufflevector(low, high, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
}

/// Adds a block's numbers of up to ROUNDED_ROWS rows to the sums, which are `padded` floats apart.
INLINE void add_block(
    const enum attention_type type, const int nq, const char *rows, size_t row_bytes, int count, const char *ahead,
    struct rounded_weights *weights, float *to, int padded
) {
    char room[LANES][MOST_BLOCK_BYTES];
    struct row_blocks blocks[ROUNDED_GROUPS];
    vf scales[ROUNDED_GROUPS], most = splat(0), lowest[MOST_QUERIES];
    UNROLL
    for (int q = 0; q < nq; q++) lowest[q] = splat(0);
    int groups = (count + LANES - 1) / LANES;
    for (int i = 0; i < groups; i++) {
        int first = i * LANES;
        fetch(ahead + (size_t)first * blocks_of(type).bytes, LANES * blocks_of(type).bytes);
        blocks[i] = blocks_at(type, rows + (size_t)first * row_bytes, row_bytes, count - first, room);
        struct row_heads heads = load_heads(type, blocks[i]);
        scales[i] = heads.scale;
        most = larger(most, larger(scales[i], -scales[i]));
        if (!has_lowest(type)) continue;
        UNROLL
        for (int q = 0; q < nq; q++) lowest[q] += heads.lowest * load(weights->numbers[q] + first);
    }
    float largest = max_lanes(most), inverse = largest > 0 ? 1 / largest : 0;
    __m512i sums[MOST_QUERIES][2];
    UNROLL
    for (int q = 0; q < nq; q++) sums[q][0] = sums[q][1] = _mm512_setzero_si512();
    for (int i = 0; i < groups; i++) {
        vf share = scales[i] * inverse;
        UNROLL
        for (int q = 0; q < nq; q++) {
            __m512i whole = _mm512_cvtps_epi32(load(weights->numbers[q] + i * LANES) * share);
            _mm256_storeu_si256((void *)(weights->whole[q] + i * LANES), _mm512_cvtepi32_epi16(whole));
        }
        add_whole(type, nq, blocks[i], i * LANES, weights, sums);
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        vf parts[2] = {_mm512_cvtepi32_ps(sums[q][0]), _mm512_cvtepi32_ps(sums[q][1])};
        put_in_order(type, parts);
        float unit = weights->unit[q], added = has_lowest(type) ? sum_lanes(lowest[q]) * unit : 0;
        UNROLL
        for (int i = 0; i < 2; i++) {
            float *at = to + q * padded + i * LANES;
            store(load(at) + (parts[i] * (unit * largest) + added), at);
        }
    }
}

INLINE void weigh_whole_rows(
    const enum attention_type type, const int nq, const char *rows, size_t row_bytes, int count, const float *weights,
    size_t stride, int blocks, float *sums, int padded
) {
    struct rounded_weights rounded;
    scale_weights(nq, weights, stride, count, &rounded);
    for (int b = 0; b < blocks; b++)
        add_block(
            type, nq, rows + (size_t)b * blocks_of(type).bytes, row_bytes, count,
            rows + (size_t)(b * ROUNDED_ROWS) * blocks_of(type).bytes, &rounded, sums + 32 * b, padded);
}

INLINE void weigh_whole_typed(const enum attention_type type, const struct row_pass *p) {
    size_t bytes = stored_bytes(type, p->dimension);
    for (int first = 0; first < p->count; first += ROUNDED_ROWS) {
        int left = p->count - first, count = left < ROUNDED_ROWS ? left : ROUNDED_ROWS;
        const char *rows = p->rows + (size_t)first * bytes;
        for (int query = 0; query < p->queries; query += MOST_QUERIES) {
            const float *weights = p->numbers + (size_t)query * p->stride + first;
            float *sums = p->vectors + query * p->padded;
            CALL_QUERIES(
                p->queries - query < MOST_QUERIES ? p->queries - query : MOST_QUERIES, weigh_whole_rows, type, rows, bytes,
                count, weights, p->stride, p->dimension / 32, sums, p->padded)
        }
    }
}
