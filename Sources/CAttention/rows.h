// Rows of keys and values in their storage types: products with queries, and sums by weights.
#pragma once

#include "storage.h"
#include "workspace.h"

/// Rows whose weights are applied before the next rows are read: so many that they and the next ones fit the first cache.
INLINE int block_rows(size_t row_bytes) { return row_bytes > 512 ? 16 : 32; }

/// How many bytes ahead keys are asked for.
#define KEY_BYTES_AHEAD 8192

/// Asks for what is read after other rows; whether there is anything does not matter.
INLINE void ask_for(const char *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at);
}

/// Queries whose sums fit the registers, beside those of some rows.
#define MOST_QUERIES 8

/// Adds the products of LANES numbers from `d` on.
INLINE void dot_lanes(
    const enum attention_type type, const int nq, const int nr, const char *rows, size_t row_bytes, const float *queries,
    int padded, int d, vf sums[8][4]
) {
    vf row[4];
    UNROLL
    for (int r = 0; r < nr; r++) row[r] = load_row(type, rows + (size_t)r * row_bytes, d);
    UNROLL
    for (int q = 0; q < nq; q++) {
        vf query = load(queries + q * padded);
        UNROLL
        for (int r = 0; r < nr; r++) sums[q][r] += query * row[r];
    }
}

/// Products of `nr` rows with `nq` queries; both are constants wherever this is inlined.
INLINE void dot_tile(
    const enum attention_type type, const int nq, const int nr, const char *rows, size_t row_bytes,
    const float *queries, int padded, int dimension, float *scores, size_t stride
) {
    vf sums[8][4];
    UNROLL
    for (int q = 0; q < nq; q++)
        UNROLL
        for (int r = 0; r < nr; r++) sums[q][r] = splat(0);
    // A block of the types that have blocks, so that what its numbers share is read once.
    int d = 0;
    for (; d + 32 <= dimension; d += 32) {
        UNROLL
        for (int r = 0; r < nr; r++)
            ask_for(rows + (size_t)r * row_bytes + stored_bytes(type, d) + KEY_BYTES_AHEAD, stored_bytes(type, 32));
        UNROLL
        for (int part = d; part < d + 32; part += LANES) dot_lanes(type, nq, nr, rows, row_bytes, queries + part, padded, part, sums);
    }
    for (; d + LANES <= dimension; d += LANES) dot_lanes(type, nq, nr, rows, row_bytes, queries + d, padded, d, sums);
    if (d < dimension) {
        for (int r = 0; r < nr; r++) {
            vf rest = load_row_rest(type, rows + (size_t)r * row_bytes, d, dimension - d);
            UNROLL
            for (int q = 0; q < nq; q++) sums[q][r] += load(queries + q * padded + d) * rest;
        }
    }
    if (nr == 4) {
        UNROLL
        for (int q = 0; q < nq; q++) sum_four(sums[q], scores + (size_t)q * stride);
    } else if (nr == 2) {
        // Two queries at a time; what lies behind the last of an odd number is not used.
        UNROLL
        for (int q = 0; q < nq; q += 2) {
            const int next = q + 1 < nq ? q + 1 : q;
            vf pair[4] = {sums[q][0], sums[q][1], sums[next][0], sums[next][1]};
            float four[4];
            sum_four(pair, four);
            memcpy(scores + (size_t)q * stride, four, 2 * sizeof(float));
            memcpy(scores + (size_t)next * stride, four + (next - q) * 2, 2 * sizeof(float));
        }
    } else {
        UNROLL
        for (int q = 0; q < nq; q++) scores[(size_t)q * stride] = sum_lanes(sums[q][0]);
    }
}

INLINE void dot_queries(
    const enum attention_type type, const int nq, const char *rows, size_t row_bytes, int count, const float *queries,
    int padded, int dimension, float *scores, size_t stride
) {
    // Eight queries and four rows would not fit the registers.
    const int tile = nq > 4 ? 2 : 4;
    int r = 0;
    for (; r + tile <= count; r += tile) {
        const char *first = rows + (size_t)r * row_bytes;
        dot_tile(type, nq, tile, first, row_bytes, queries, padded, dimension, scores + r, stride);
    }
    for (; r < count; r++) {
        const char *row = rows + (size_t)r * row_bytes;
        dot_tile(type, nq, 1, row, row_bytes, queries, padded, dimension, scores + r, stride);
    }
}

/// Adds the weighted rows' numbers `d` to `d + nv * LANES` to the sums.
INLINE void weigh_tile(
    const enum attention_type type, const int nq, const int nv, const char *rows, size_t row_bytes, int count,
    const float *weights, size_t stride, int d, float *sums, int padded
) {
    vf sum[8][4];
    UNROLL
    for (int q = 0; q < nq; q++)
        UNROLL
        for (int v = 0; v < nv; v++) sum[q][v] = load(sums + q * padded + d + v * LANES);
    // The next block's rows lie where nothing but this asks for them in time: they are read part by part, too.
    const char *ahead = rows + (size_t)block_rows(row_bytes) * row_bytes + stored_bytes(type, d);
    for (int r = 0; r < count; r++, ahead += row_bytes) {
        vf row[4];
        ask_for(ahead, stored_bytes(type, nv * LANES));
        UNROLL
        for (int v = 0; v < nv; v++) row[v] = load_row(type, rows + (size_t)r * row_bytes, d + v * LANES);
        UNROLL
        for (int q = 0; q < nq; q++) {
            vf weight = splat(weights[(size_t)q * stride + (size_t)r]);
            UNROLL
            for (int v = 0; v < nv; v++) sum[q][v] += weight * row[v];
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++)
        UNROLL
        for (int v = 0; v < nv; v++) store(sum[q][v], sums + q * padded + d + v * LANES);
}

INLINE void weigh_rest(
    const enum attention_type type, int nq, const char *rows, size_t row_bytes, int count, const float *weights,
    size_t stride, int d, int dimension, float *sums, int padded
) {
    for (int r = 0; r < count; r++) {
        vf row = load_row_rest(type, rows + (size_t)r * row_bytes, d, dimension - d);
        for (int q = 0; q < nq; q++) {
            float *to = sums + q * padded + d;
            store(load(to) + splat(weights[(size_t)q * stride + (size_t)r]) * row, to);
        }
    }
}

INLINE void weigh_queries(
    const enum attention_type type, const int nq, const char *rows, size_t row_bytes, int count, const float *weights,
    size_t stride, int dimension, float *sums, int padded
) {
    const int wide = nq > 4 ? 2 : 4;
    int d = 0;
    for (; d + wide * LANES <= dimension; d += wide * LANES)
        weigh_tile(type, nq, wide, rows, row_bytes, count, weights, stride, d, sums, padded);
    for (; d + LANES <= dimension; d += LANES)
        weigh_tile(type, nq, 1, rows, row_bytes, count, weights, stride, d, sums, padded);
    if (d < dimension) weigh_rest(type, nq, rows, row_bytes, count, weights, stride, d, dimension, sums, padded);
}

/// What is done with rows and, for each query, a vector as long as a row and a number per row.
enum row_operation {
    DOT_ROWS,   ///< number = vector times row
    WEIGH_ROWS, ///< vector += the sum of number times row
};

struct row_pass {
    const char *rows;
    int count;     ///< rows
    int dimension; ///< numbers per row
    float *vectors; ///< `[queries][padded]`, with zeros behind the last number
    int padded;
    /// `[queries][dimension / 32]`: the vectors in whole numbers, where they are; not read by `dot_rows` and `weigh_rows`
    const struct query_block *rounded;
    float *numbers; ///< `[queries][stride]`
    size_t stride;
    int queries;
};

INLINE void pass_queries(
    const enum row_operation operation, const enum attention_type type, const int nq, const struct row_pass *p,
    size_t row_bytes, int first, int count, int query
) {
    const char *rows = p->rows + (size_t)first * row_bytes;
    float *vectors = p->vectors + query * p->padded, *numbers = p->numbers + (size_t)query * p->stride + first;
    switch (operation) {
    case DOT_ROWS:
        dot_queries(type, nq, rows, row_bytes, count, vectors, p->padded, p->dimension, numbers, p->stride);
        break;
    case WEIGH_ROWS:
        weigh_queries(type, nq, rows, row_bytes, count, numbers, p->stride, p->dimension, vectors, p->padded);
        break;
    }
}

INLINE void pass_typed(
    const enum attention_type type, const enum row_operation operation, const struct row_pass *p
) {
    size_t bytes = stored_bytes(type, p->dimension);
    int block = block_rows(bytes);
    for (int first = 0; first < p->count; first += block) {
        int count = p->count - first < block ? p->count - first : block;
        for (int query = 0; query < p->queries;) {
            int step = p->queries - query < MOST_QUERIES ? p->queries - query : MOST_QUERIES;
            switch (step) {
            case 8: pass_queries(operation, type, 8, p, bytes, first, count, query); break;
            case 7: pass_queries(operation, type, 7, p, bytes, first, count, query); break;
            case 6: pass_queries(operation, type, 6, p, bytes, first, count, query); break;
            case 5: pass_queries(operation, type, 5, p, bytes, first, count, query); break;
            case 4: pass_queries(operation, type, 4, p, bytes, first, count, query); break;
            case 3: pass_queries(operation, type, 3, p, bytes, first, count, query); break;
            case 2: pass_queries(operation, type, 2, p, bytes, first, count, query); break;
            default: pass_queries(operation, type, 1, p, bytes, first, count, query); break;
            }
            query += step;
        }
    }
}

INLINE void pass_rows(const enum row_operation operation, enum attention_type type, const struct row_pass *p) {
    CALL_TYPED(type, pass_typed, operation, p);
}

// One function each, so that the compiler makes the inner loops for each storage type and number of queries.
static void dot_rows(enum attention_type type, const struct row_pass *pass) { pass_rows(DOT_ROWS, type, pass); }

static void weigh_rows(enum attention_type type, const struct row_pass *pass) { pass_rows(WEIGH_ROWS, type, pass); }
