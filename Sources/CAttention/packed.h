// Where the parts of a matrix in the layout of products lie.
#pragma once

#include "include/Products.h"
#include <stddef.h>

/// Rounded vectors that lie together: each of their blocks side by side, as they are read.
#define ROUNDED_TOGETHER 8

/// Numbers of a block.
static inline int64_t product_block(enum product_type type) { return type == PRODUCT_Q4_K ? 256 : 32; }

/// PRODUCT_ROWS rows' numbers of one block of PRODUCT_Q8_0: a word of each, the next one of each, and so on. They count from 0.
struct packed_q8_0 {
    uint32_t numbers[8][PRODUCT_ROWS];
};

/// The same for PRODUCT_Q4_K, with what belongs to them; bytes are as in a row, four to a word.
struct packed_q4_k {
    uint32_t numbers[4][8][PRODUCT_ROWS]; ///< of 64 numbers the first 32 in the low halves of bytes
    uint16_t scale[PRODUCT_ROWS], lowest[PRODUCT_ROWS];
    uint32_t parts[3][PRODUCT_ROWS]; ///< the scales and offsets of 32 numbers each
};

/// Where PRODUCT_ROWS rows of a matrix begin.
static inline const struct packed_q8_0 *packed_q8_0(const struct product_matrix *matrix, int64_t first) {
    return (const struct packed_q8_0 *)matrix->packed + first / PRODUCT_ROWS * (matrix->width / 32);
}

/// The scales of their blocks lie behind the numbers of all rows.
static inline const uint16_t *packed_scales(const struct product_matrix *matrix, int64_t first) {
    return (const uint16_t *)packed_q8_0(matrix, matrix->rows) + first * (matrix->width / 32);
}

static inline const struct packed_q4_k *packed_q4_k(const struct product_matrix *matrix, int64_t first) {
    return (const struct packed_q4_k *)matrix->packed + first / PRODUCT_ROWS * (matrix->width / 256);
}
