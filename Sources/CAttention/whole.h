// Products of keys in blocks with rounded queries, in whole numbers, for AVX-512 with VNNI.
//
// 16 rows at a time, a row in each lane: a query's four bytes are the same for all lanes, and no lanes are added up.
#pragma once

#include "rows.h"
#include "workspace.h"
#include <immintrin.h>

/// Rows that are taken at a time: blocks `stride` bytes apart.
struct row_blocks {
    const char *from;
    size_t stride;
};

/// The most bytes that a block has, rounded up.
#define MOST_BLOCK_BYTES 36

/// LANES blocks, of which the last ones may not be there: those that are, in `room`, and zeros.
INLINE struct row_blocks blocks_at(
    const enum attention_type type, const char *from, size_t stride, int count, char room[LANES][MOST_BLOCK_BYTES]
) {
    if (count >= LANES) return (struct row_blocks){from, stride};
    memset(room, 0, LANES * MOST_BLOCK_BYTES);
    for (int r = 0; r < count; r++) memcpy(room[r], from + (size_t)r * stride, blocks_of(type).bytes);
    return (struct row_blocks){room[0], MOST_BLOCK_BYTES};
}

/// How many bytes ahead rows are asked for: they are not read in the order in which they lie.
#define BYTES_AHEAD 4096

/// Asks for what lies ahead of a part of some rows; whether there is anything does not matter.
INLINE void fetch(const char *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + BYTES_AHEAD + at);
}

/// Four pieces of 16 bytes, `stride` bytes apart.
INLINE __m512i load_pieces(const char *from, size_t stride) {
    __m512i all = _mm512_castsi128_si512(_mm_loadu_si128((const void *)from));
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(from + stride)), 1);
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(from + 2 * stride)), 2);
    return _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(from + 3 * stride)), 3);
}

/// Four successive 32-bit words of 16 rows, `offset` bytes into their blocks: words[i][r] is row r's.
INLINE void load_words(struct row_blocks rows, int offset, __m512i words[4]) {
    __m512i piece[4];
    UNROLL
    for (int i = 0; i < 4; i++) piece[i] = load_pieces(rows.from + offset + (size_t)i * rows.stride, 4 * rows.stride);
    __m512i low = _mm512_unpacklo_epi32(piece[0], piece[1]), next_low = _mm512_unpacklo_epi32(piece[2], piece[3]);
    __m512i high = _mm512_unpackhi_epi32(piece[0], piece[1]), next_high = _mm512_unpackhi_epi32(piece[2], piece[3]);
    words[0] = _mm512_unpacklo_epi64(low, next_low);
    words[1] = _mm512_unpackhi_epi64(low, next_low);
    words[2] = _mm512_unpacklo_epi64(high, next_high);
    words[3] = _mm512_unpackhi_epi64(high, next_high);
}

/// What the numbers of 16 rows' blocks have in common.
struct row_heads {
    vf scale, lowest;
    __m512i fifths; ///< the fifth bits of each row
};

INLINE vf low_halves(__m512i words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }

INLINE vf high_halves(__m512i words) { return low_halves(_mm512_srli_epi32(words, 16)); }

INLINE struct row_heads load_heads(const enum attention_type type, struct row_blocks rows) {
    __m512i words[4];
    load_words(rows, 0, words);
    struct row_heads heads = {.scale = low_halves(words[0])};
    if (has_lowest(type)) heads.lowest = high_halves(words[0]);
    if (type == ATTENTION_Q5_1) heads.fifths = words[1];
    if (type == ATTENTION_Q5_0)
        heads.fifths = _mm512_or_si512(_mm512_srli_epi32(words[0], 16), _mm512_slli_epi32(words[1], 16));
    return heads;
}

/// Numbers of blocks as bytes from 0 on: numbers[i] has four numbers, from 4 i on, of each of 16 rows.
INLINE void load_numbers(
    const enum attention_type type, struct row_blocks rows, const struct row_heads *heads, __m512i numbers[8]
) {
    if (type == ATTENTION_Q8_0) {
        load_words(rows, 2, numbers);
        load_words(rows, 18, numbers + 4);
        UNROLL
        for (int i = 0; i < 8; i++) numbers[i] = _mm512_xor_si512(numbers[i], _mm512_set1_epi8((char)0x80));
        return;
    }
    const __m512i low = _mm512_set1_epi8(15);
    __m512i pairs[4];
    load_words(rows, (int)blocks_of(type).bytes - 16, pairs);
    UNROLL
    for (int i = 0; i < 4; i++) {
        numbers[i] = _mm512_and_si512(pairs[i], low);
        numbers[4 + i] = _mm512_and_si512(_mm512_srli_epi16(pairs[i], 4), low);
    }
    if (!has_fifths(type)) return;
    // Each number's byte of the fifth bits, then whether its bit is set.
    const __m512i bits[2] = {_mm512_set1_epi32(0x08040201), _mm512_set1_epi32((int)0x80402010)};
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i place = _mm512_add_epi32(
            _mm512_broadcast_i32x4(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0)), _mm512_set1_epi8((char)i));
        __m512i eight = _mm512_shuffle_epi8(heads->fifths, place);
        UNROLL
        for (int half = 0; half < 2; half++) {
            __m512i *to = &numbers[2 * i + half];
            *to = _mm512_mask_add_epi8(*to, _mm512_test_epi8_mask(eight, bits[half]), *to, _mm512_set1_epi8(16));
        }
    }
}

INLINE __m512i broadcast_word(const void *from) {
    int32_t word;
    memcpy(&word, from, sizeof word);
    return _mm512_set1_epi32(word);
}

/// Products of up to 16 rows with `nq` queries; type and `nq` are constants wherever this is inlined.
INLINE void multiply_rows(
    const enum attention_type type, const int nq, const char *rows, size_t row_bytes, int count,
    const struct query_block *queries, int blocks, float *scores, size_t stride
) {
    char room[LANES][MOST_BLOCK_BYTES];
    vf sums[MOST_QUERIES];
    UNROLL
    for (int q = 0; q < nq; q++) sums[q] = splat(0);
    const char *ahead = rows;
    for (int b = 0; b < blocks; b++, rows += blocks_of(type).bytes, queries++) {
        fetch(ahead, LANES * blocks_of(type).bytes);
        ahead += LANES * blocks_of(type).bytes;
        struct row_blocks block = blocks_at(type, rows, row_bytes, count, room);
        struct row_heads heads = load_heads(type, block);
        __m512i numbers[8];
        load_numbers(type, block, &heads, numbers);
        __m512i whole[MOST_QUERIES];
        UNROLL
        for (int q = 0; q < nq; q++) whole[q] = broadcast_word(&queries[q * blocks].start);
        // Queries take turns, so that none waits for its own last product.
        UNROLL
        for (int i = 0; i < 8; i++)
            UNROLL
            for (int q = 0; q < nq; q++)
                whole[q] = _mm512_dpbusd_epi32(whole[q], numbers[i], broadcast_word(queries[q * blocks].codes + 4 * i));
        UNROLL
        for (int q = 0; q < nq; q++) {
            sums[q] += (vf)_mm512_cvtepi32_ps(whole[q]) * (heads.scale * queries[q * blocks].scale);
            if (has_lowest(type)) sums[q] += heads.lowest * queries[q * blocks].total;
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) store_part(sums[q], scores + (size_t)q * stride, count);
}

/// Calls a function whose second argument is a number of queries, which is a constant there.
#define CALL_QUERIES(queries, function, type, ...) \
    switch (queries) { \
    case 8: function(type, 8, __VA_ARGS__); break; \
    case 7: function(type, 7, __VA_ARGS__); break; \
    case 6: function(type, 6, __VA_ARGS__); break; \
    case 5: function(type, 5, __VA_ARGS__); break; \
    case 4: function(type, 4, __VA_ARGS__); break; \
    case 3: function(type, 3, __VA_ARGS__); break; \
    case 2: function(type, 2, __VA_ARGS__); break; \
    default: function(type, 1, __VA_ARGS__); break; \
    }

INLINE void multiply_typed(const enum attention_type type, const struct row_pass *p) {
    size_t bytes = stored_bytes(type, p->dimension);
    int blocks = p->dimension / 32;
    for (int first = 0; first < p->count; first += LANES) {
        const char *rows = p->rows + (size_t)first * bytes;
        for (int query = 0; query < p->queries; query += MOST_QUERIES) {
            const struct query_block *rounded = p->rounded + query * blocks;
            float *numbers = p->numbers + (size_t)query * p->stride + first;
            CALL_QUERIES(
                p->queries - query < MOST_QUERIES ? p->queries - query : MOST_QUERIES, multiply_rows, type, rows, bytes,
                p->count - first, rounded, blocks, numbers, p->stride)
        }
    }
}
