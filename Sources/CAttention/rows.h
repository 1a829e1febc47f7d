// Rows of keys and values in their storage types: products with queries, and sums by weights.
#include "include/CAttention.h"

/// Rows whose weights are applied before the next rows are read, so that a second pass finds them in the first cache.
#define ROW_BLOCK 32

/// Queries whose sums fit the registers, beside those of some rows.
#define MOST_QUERIES 8

/// LANES numbers of a row, from number `d` on. `type` is a constant wherever this is inlined.
INLINE vf load_row(const enum attention_type type, const char *row, int d) {
    switch (type) {
    case ATTENTION_F32: return load((const float *)row + d);
    case ATTENTION_F16: {
        vu16 bits;
        memcpy(&bits, row + 2 * (size_t)d, sizeof bits);
        return half_to_float(bits);
    }
    case ATTENTION_BF16: {
        vu16 bits;
        memcpy(&bits, row + 2 * (size_t)d, sizeof bits);
        return bf16_to_float(bits);
    }
    case ATTENTION_Q8_0: {
        const char *block = row + (size_t)(d / 32) * 34;
        uint16_t scale;
        memcpy(&scale, block, sizeof scale);
        vi8 numbers;
        memcpy(&numbers, block + 2 + d % 32, sizeof numbers);
        return __builtin_convertvector(numbers, vf) * half_to_float((vu16)scale);
    }
    }
    return splat(0);
}

/// The last `count` < LANES numbers of a row, then zeros. Blocks of 32 have no such rest.
INLINE vf load_row_rest(const enum attention_type type, const char *row, int d, int count) {
    char buffer[LANES * sizeof(float)] = {0};
    size_t size = type == ATTENTION_F32 ? 4 : 2;
    memcpy(buffer, row + size * (size_t)d, size * (size_t)count);
    return load_row(type, buffer, 0);
}

/// Products of `nr` rows with `nq` queries; both are constants wherever this is inlined.
INLINE void dot_tile(
    const enum attention_type type, const int nq, const int nr, const char *rows, size_t row_bytes, const float *queries,
    int padded, int dimension, float *scores, size_t stride
) {
    vf sums[8][4];
    UNROLL
    for (int q = 0; q < nq; q++)
        UNROLL
        for (int r = 0; r < nr; r++) sums[q][r] = splat(0);
    int d = 0;
    for (; d + LANES <= dimension; d += LANES) {
        vf row[4];
        UNROLL
        for (int r = 0; r < nr; r++) row[r] = load_row(type, rows + (size_t)r * row_bytes, d);
        UNROLL
        for (int q = 0; q < nq; q++) {
            vf query = load(queries + q * padded + d);
            UNROLL
            for (int r = 0; r < nr; r++) sums[q][r] += query * row[r];
        }
    }
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
    for (; r + tile <= count; r += tile)
        dot_tile(type, nq, tile, rows + (size_t)r * row_bytes, row_bytes, queries, padded, dimension, scores + r, stride);
    for (; r < count; r++)
        dot_tile(type, nq, 1, rows + (size_t)r * row_bytes, row_bytes, queries, padded, dimension, scores + r, stride);
}

INLINE void dot_typed(
    const enum attention_type type, const char *rows, size_t row_bytes, int count, const float *queries, int query_count,
    int padded, int dimension, float *scores, size_t stride
) {
    for (int begin = 0; begin < count; begin += ROW_BLOCK) {
        int block = count - begin < ROW_BLOCK ? count - begin : ROW_BLOCK;
        const char *first = rows + (size_t)begin * row_bytes;
        for (int q = 0; q < query_count;) {
            const float *query = queries + q * padded;
            float *to = scores + (size_t)q * stride + begin;
            int step = query_count - q < MOST_QUERIES ? query_count - q : MOST_QUERIES;
            switch (step) {
            case 8: dot_queries(type, 8, first, row_bytes, block, query, padded, dimension, to, stride); break;
            case 7: dot_queries(type, 7, first, row_bytes, block, query, padded, dimension, to, stride); break;
            case 6: dot_queries(type, 6, first, row_bytes, block, query, padded, dimension, to, stride); break;
            case 5: dot_queries(type, 5, first, row_bytes, block, query, padded, dimension, to, stride); break;
            case 4: dot_queries(type, 4, first, row_bytes, block, query, padded, dimension, to, stride); break;
            case 3: dot_queries(type, 3, first, row_bytes, block, query, padded, dimension, to, stride); break;
            case 2: dot_queries(type, 2, first, row_bytes, block, query, padded, dimension, to, stride); break;
            default: dot_queries(type, 1, first, row_bytes, block, query, padded, dimension, to, stride); break;
            }
            q += step;
        }
    }
}

/// scores[q * stride + r] = query q times row r. Queries are `padded` floats apart, with zeros behind the last number.
static void dot_rows(
    enum attention_type type, const void *rows, int count, const float *queries, int query_count, int padded,
    int dimension, float *scores, size_t stride
) {
    size_t bytes = attention_row_bytes(type, dimension);
    switch (type) {
    case ATTENTION_F32:
        dot_typed(ATTENTION_F32, rows, bytes, count, queries, query_count, padded, dimension, scores, stride);
        break;
    case ATTENTION_F16:
        dot_typed(ATTENTION_F16, rows, bytes, count, queries, query_count, padded, dimension, scores, stride);
        break;
    case ATTENTION_BF16:
        dot_typed(ATTENTION_BF16, rows, bytes, count, queries, query_count, padded, dimension, scores, stride);
        break;
    case ATTENTION_Q8_0:
        dot_typed(ATTENTION_Q8_0, rows, bytes, count, queries, query_count, padded, dimension, scores, stride);
        break;
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
    for (int r = 0; r < count; r++) {
        vf row[4];
        UNROLL
        for (int v = 0; v < nv; v++) row[v] = load_row(type, rows + (size_t)r * row_bytes, d + v * LANES);
        UNROLL
        for (int q = 0; q < nq; q++) {
            vf weight = splat(weights[(size_t)q * stride + r]);
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
            store(load(to) + splat(weights[(size_t)q * stride + r]) * row, to);
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

INLINE void weigh_typed(
    const enum attention_type type, const char *rows, size_t row_bytes, int count, const float *weights, size_t stride,
    int query_count, int dimension, float *sums, int padded
) {
    for (int begin = 0; begin < count; begin += ROW_BLOCK) {
        int block = count - begin < ROW_BLOCK ? count - begin : ROW_BLOCK;
        const char *first = rows + (size_t)begin * row_bytes;
        for (int q = 0; q < query_count;) {
            const float *weight = weights + (size_t)q * stride + begin;
            float *to = sums + q * padded;
            int step = query_count - q < MOST_QUERIES ? query_count - q : MOST_QUERIES;
            switch (step) {
            case 8: weigh_queries(type, 8, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            case 7: weigh_queries(type, 7, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            case 6: weigh_queries(type, 6, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            case 5: weigh_queries(type, 5, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            case 4: weigh_queries(type, 4, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            case 3: weigh_queries(type, 3, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            case 2: weigh_queries(type, 2, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            default: weigh_queries(type, 1, first, row_bytes, block, weight, stride, dimension, to, padded); break;
            }
            q += step;
        }
    }
}

/// sums[q * padded + d] += the sum over rows r of weights[q * stride + r] times number d of row r.
static void weigh_rows(
    enum attention_type type, const void *rows, int count, const float *weights, size_t stride, int query_count,
    int dimension, float *sums, int padded
) {
    size_t bytes = attention_row_bytes(type, dimension);
    switch (type) {
    case ATTENTION_F32:
        weigh_typed(ATTENTION_F32, rows, bytes, count, weights, stride, query_count, dimension, sums, padded);
        break;
    case ATTENTION_F16:
        weigh_typed(ATTENTION_F16, rows, bytes, count, weights, stride, query_count, dimension, sums, padded);
        break;
    case ATTENTION_BF16:
        weigh_typed(ATTENTION_BF16, rows, bytes, count, weights, stride, query_count, dimension, sums, padded);
        break;
    case ATTENTION_Q8_0:
        weigh_typed(ATTENTION_Q8_0, rows, bytes, count, weights, stride, query_count, dimension, sums, padded);
        break;
    }
}
