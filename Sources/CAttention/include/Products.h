/// Products of vectors with a quantised matrix, in whole numbers: for processors with products of bytes.
///
/// Vectors are rounded to 8 bits first, as ggml rounds them for matrices of the type. Each vector's products are made in the
/// same way, bit for bit, whichever others there are.
#pragma once

#include "AttentionTypes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Rows of a matrix that are multiplied together.
enum { PRODUCT_ROWS = 16 };

/// How the numbers of a matrix are stored.
enum product_type {
    /// ATTENTION_Q8_0; of vectors, 32 numbers have a scale.
    PRODUCT_Q8_0 = 0,
    /// Blocks of 256 as ggml's q4_K: two f16, 8 scales and 8 offsets of 6 bits, 256 numbers of 4 bits; of vectors, 256
    /// numbers have a scale.
    PRODUCT_Q4_K = 1,
};

/// A matrix in the layout of `product_pack`.
struct product_matrix {
    enum product_type type;
    const void *packed;
    int64_t width;      ///< numbers of a row
    int64_t rows;
};

/// Whether a level has products of bytes.
bool product_can_run(enum attention_level level);

/// Whether a matrix can have that layout: whole blocks and whole groups of rows.
bool product_fits(enum product_type type, int64_t width, int64_t rows);

/// Lays out the rows of a matrix so that PRODUCT_ROWS of them lie side by side, in as many bytes as before.
///
/// - matrix: its type and sizes.
/// - rows: as they are stored one after the other.
/// - packed: where `matrix->packed` is to be.
void product_pack(const struct product_matrix *matrix, const void *rows, void *packed);

/// Bytes of so many rounded vectors.
size_t product_rounded_bytes(int64_t width, int64_t count);

/// Vectors to round.
struct product_vectors {
    enum product_type type; ///< of the matrix that they are for
    const float *numbers;   ///< `[count][width]`
    int64_t width, count;
};

/// Rounds vectors. To be called by all threads.
void product_round(
    enum attention_level level, const struct product_vectors *vectors, void *rounded, int32_t thread, int32_t threads);

/// The products of each rounded vector with each row: `output` is `[count][rows]`. To be called by all threads, after the last
/// one has rounded.
void product_multiply(
    enum attention_level level, const struct product_matrix *matrix, const void *rounded, int64_t count, float *output,
    int32_t thread, int32_t threads);
