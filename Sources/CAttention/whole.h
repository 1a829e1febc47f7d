// Products of keys in blocks with rounded queries, in whole numbers: for AVX-512 with VNNI, AVX-VNNI, and AVX2.
//
// LANES rows at a time, a row in each lane: a query's four bytes are the same for all lanes, and no lanes are added up.
#pragma once

#include "rows.h"
#include "whole_vectors.h"
#include "workspace.h"

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
    ask_for(from + BYTES_AHEAD, bytes);
}

/// Four successive 32-bit words of LANES rows, `offset` bytes into their blocks: words[i][r] is row r's.
INLINE void load_words(struct row_blocks rows, int offset, vw words[4]) {
    vw piece[4];
    UNROLL
    for (int i = 0; i < 4; i++) piece[i] = load_pieces(rows.from + offset + (size_t)i * rows.stride, 4 * rows.stride);
    vw low = WORDS(unpacklo_epi32)(piece[0], piece[1]), next_low = WORDS(unpacklo_epi32)(piece[2], piece[3]);
    vw high = WORDS(unpackhi_epi32)(piece[0], piece[1]), next_high = WORDS(unpackhi_epi32)(piece[2], piece[3]);
    words[0] = WORDS(unpacklo_epi64)(low, next_low);
    words[1] = WORDS(unpackhi_epi64)(low, next_low);
    words[2] = WORDS(unpacklo_epi64)(high, next_high);
    words[3] = WORDS(unpackhi_epi64)(high, next_high);
}

/// What the numbers of LANES rows' blocks have in common.
struct row_heads {
    vf scale, lowest;
    vw fifths; ///< the fifth bits of each row
};

INLINE vf high_halves(vw words) { return low_halves(WORDS(srli_epi32)(words, 16)); }

INLINE struct row_heads load_heads(const enum attention_type type, struct row_blocks rows) {
    vw words[4];
    load_words(rows, 0, words);
    struct row_heads heads = {.scale = low_halves(words[0])};
    if (has_lowest(type)) heads.lowest = high_halves(words[0]);
    if (type == ATTENTION_Q5_1) heads.fifths = words[1];
    if (type == ATTENTION_Q5_0) heads.fifths = WORDS(srli_epi32)(words[0], 16) | WORDS(slli_epi32)(words[1], 16);
    return heads;
}

/// Numbers of blocks as bytes from 0 on: numbers[i] has four numbers, from 4 i on, of each of LANES rows.
INLINE void load_numbers(
    const enum attention_type type, struct row_blocks rows, const struct row_heads *heads, vw numbers[8]
) {
    if (type == ATTENTION_Q8_0) {
        load_words(rows, 2, numbers);
        load_words(rows, 18, numbers + 4);
        UNROLL
        for (int i = 0; i < 8; i++) numbers[i] ^= WORDS(set1_epi8)((char)0x80);
        return;
    }
    const vw low = WORDS(set1_epi8)(15);
    vw pairs[4];
    load_words(rows, (int)blocks_of(type).bytes - 16, pairs);
    UNROLL
    for (int i = 0; i < 4; i++) {
        numbers[i] = pairs[i] & low;
        numbers[4 + i] = WORDS(srli_epi16)(pairs[i], 4) & low;
    }
    if (!has_fifths(type)) return;
    // Each number's byte of the fifth bits, then whether its bit is set.
    const vw bits[2] = {WORDS(set1_epi32)(0x08040201), WORDS(set1_epi32)((int)0x80402010)};
    UNROLL
    for (int i = 0; i < 4; i++) {
        const vw place = WORDS(add_epi32)(
            to_all_parts(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0)), WORDS(set1_epi8)((char)i));
        vw eight = WORDS(shuffle_epi8)(heads->fifths, place);
        UNROLL
        for (int half = 0; half < 2; half++)
            numbers[2 * i + half] = add_where(numbers[2 * i + half], eight, bits[half], WORDS(set1_epi8)(16));
    }
}

/// Products of up to LANES rows with `nq` queries; type and `nq` are constants wherever this is inlined.
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
        vw numbers[8];
        load_numbers(type, block, &heads, numbers);
        vw whole[MOST_QUERIES];
        UNROLL
        for (int q = 0; q < nq; q++) whole[q] = broadcast_word(&queries[q * blocks].start);
        add_products(nq, numbers, queries, blocks, whole);
        UNROLL
        for (int q = 0; q < nq; q++) {
            sums[q] += (vf)WORDS(cvtepi32_ps)(whole[q]) * (heads.scale * queries[q * blocks].scale);
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
