// Small matrices of floats: products of tiles that stay in the nearest caches, and the transposition that they need.
#pragma once

#include "storage.h"

/// Rows of A whose sums fit the registers, beside the vectors of B that they are multiplied with.
#define TILE_ROWS 6
#if LANES == 16
#define TILE_VECTORS 4
#else
#define TILE_VECTORS 2
#endif

/// A[rows][depth], B[depth][columns], C[rows][columns], each with so many floats from row to row.
struct product {
    const float *a, *b;
    float *c;
    size_t a_stride, b_stride, c_stride;
    int depth;
};

/// C += A B for `nr` rows and `nv` vectors of columns, which are constants wherever this is inlined.
INLINE void multiply_tile(const struct product *p, const int nr, const int nv, int row, int column, bool adds) {
    vf sum[TILE_ROWS][TILE_VECTORS];
    float *c = p->c + (size_t)row * p->c_stride + column;
    UNROLL
    for (int r = 0; r < nr; r++)
        UNROLL
        for (int v = 0; v < nv; v++) sum[r][v] = adds ? load(c + (size_t)r * p->c_stride + v * LANES) : splat(0);
    const float *a = p->a + (size_t)row * p->a_stride, *b = p->b + column;
    for (int k = 0; k < p->depth; k++, b += p->b_stride) {
        vf columns[TILE_VECTORS];
        UNROLL
        for (int v = 0; v < nv; v++) columns[v] = load(b + v * LANES);
        UNROLL
        for (int r = 0; r < nr; r++) {
            vf factor = splat(a[(size_t)r * p->a_stride + k]);
            UNROLL
            for (int v = 0; v < nv; v++) sum[r][v] += factor * columns[v];
        }
    }
    UNROLL
    for (int r = 0; r < nr; r++)
        UNROLL
        for (int v = 0; v < nv; v++) store(sum[r][v], c + (size_t)r * p->c_stride + v * LANES);
}

INLINE void multiply_columns(const struct product *p, const int nr, int row, int columns, bool adds) {
    int column = 0;
    for (; column + TILE_VECTORS * LANES <= columns; column += TILE_VECTORS * LANES)
        multiply_tile(p, nr, TILE_VECTORS, row, column, adds);
    for (; column < columns; column += LANES) multiply_tile(p, nr, 1, row, column, adds);
}

/// C = A B, or C += A B; `columns` is a multiple of LANES.
static void multiply(const struct product *p, int rows, int columns, bool adds) {
    int row = 0;
    for (; row + TILE_ROWS <= rows; row += TILE_ROWS) multiply_columns(p, TILE_ROWS, row, columns, adds);
    switch (rows - row) {
    case 5: multiply_columns(p, 5, row, columns, adds); break;
    case 4: multiply_columns(p, 4, row, columns, adds); break;
    case 3: multiply_columns(p, 3, row, columns, adds); break;
    case 2: multiply_columns(p, 2, row, columns, adds); break;
    case 1: multiply_columns(p, 1, row, columns, adds); break;
    default: break;
    }
}

#if LANES == 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif

/// Transposes LANES vectors: each round deals two halves of the rows into each other.
INLINE void transpose(vf *rows) {
    UNROLL
    for (int round = 1; round < LANES; round *= 2) {
        vf dealt[LANES];
        UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            dealt[2 * i] = __builtin_shufflevector(rows[i], rows[i + LANES / 2], LOW_HALVES);
            dealt[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + LANES / 2], HIGH_HALVES);
        }
        UNROLL
        for (int i = 0; i < LANES; i++) rows[i] = dealt[i];
    }
}

/// LANES numbers of a row from `d` on, zeros behind its end.
INLINE vf load_padded(const enum attention_type type, const char *row, int d, int dimension) {
    if (d + LANES <= dimension) return load_row(type, row, d);
    return d < dimension ? load_row_rest(type, row, d, dimension - d) : splat(0);
}

/// The first `count` rows as columns of floats, `to[dimension][stride]`; zeros for the other columns.
INLINE void transpose_typed(
    const enum attention_type type, const char *rows, int count, int dimension, float *to, int stride
) {
    size_t bytes = stored_bytes(type, dimension);
    for (int first = 0; first < stride; first += LANES) {
        for (int d = 0; d < dimension; d += LANES) {
            vf block[LANES];
            UNROLL
            for (int i = 0; i < LANES; i++)
                block[i] = first + i < count
                    ? load_padded(type, rows + (size_t)(first + i) * bytes, d, dimension) : splat(0);
            transpose(block);
            int end = dimension - d < LANES ? dimension - d : LANES;
            for (int i = 0; i < end; i++) store(block[i], to + (size_t)(d + i) * (size_t)stride + first);
        }
    }
}

/// The first `count` of `total` rows as floats, `to[total][padded]`; zeros for the others.
INLINE void widen_typed(
    const enum attention_type type, const char *rows, int count, int total, int dimension, float *to, int padded
) {
    size_t bytes = stored_bytes(type, dimension);
    for (int i = 0; i < total; i++)
        for (int d = 0; d < padded; d += LANES)
            store(
                i < count ? load_padded(type, rows + (size_t)i * bytes, d, dimension) : splat(0),
                to + (size_t)i * (size_t)padded + d);
}

static void transpose_rows(
    enum attention_type type, const char *rows, int count, int dimension, float *to, int stride
) {
    CALL_TYPED(type, transpose_typed, rows, count, dimension, to, stride);
}

static void widen_rows(
    enum attention_type type, const char *rows, int count, int total, int dimension, float *to, int padded
) {
    CALL_TYPED(type, widen_typed, rows, count, total, dimension, to, padded);
}
