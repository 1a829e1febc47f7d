// How matrices are laid out for products, and which instructions make them.
#include "check.h"
#include "format.h"
#include "level.h"
#include "packed.h"
#include "workspace.h"

#include <string.h>

/// A block of ggml's q4_K.
struct block_q4_k {
    uint16_t scale, lowest;
    uint32_t parts[3];
    uint32_t numbers[4][8];
};

_Static_assert(sizeof(struct packed_q4_k) == PRODUCT_ROWS * sizeof(struct block_q4_k), "a layout takes as many bytes");

bool product_can_run(enum attention_level level) {
    return attention_can_run(level) && steps_of(level)->multiply_vectors;
}

bool product_fits(enum product_type type, int64_t width, int64_t rows) {
    return width > 0 && rows > 0 && width % product_block(type) == 0 && rows % PRODUCT_ROWS == 0;
}

/// The signs of four bytes turned round, so that they count from 0 to 255.
static uint32_t unsigned_bytes(const char *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word ^ 0x80808080;
}

static void pack_q8_0(const struct product_matrix *matrix, const char *rows) {
    const int64_t blocks = matrix->width / 32;
    const size_t bytes = blocks_of(ATTENTION_Q8_0).bytes;
    for (int64_t row = 0; row < matrix->rows; row++) {
        const int64_t first = row / PRODUCT_ROWS * PRODUCT_ROWS, r = row % PRODUCT_ROWS;
        struct packed_q8_0 *to = (struct packed_q8_0 *)packed_q8_0(matrix, first);
        uint16_t *scales = (uint16_t *)packed_scales(matrix, first);
        for (int64_t b = 0; b < blocks; b++, rows += bytes) {
            memcpy(&scales[b * PRODUCT_ROWS + r], rows, sizeof *scales);
            for (int i = 0; i < 8; i++) to[b].numbers[i][r] = unsigned_bytes(rows + 2 + 4 * i);
        }
    }
}

static void pack_q4_k(const struct product_matrix *matrix, const char *rows) {
    const int64_t blocks = matrix->width / 256;
    for (int64_t row = 0; row < matrix->rows; row++) {
        const int64_t r = row % PRODUCT_ROWS;
        struct packed_q4_k *to = (struct packed_q4_k *)packed_q4_k(matrix, row - r);
        for (int64_t b = 0; b < blocks; b++, to++, rows += sizeof(struct block_q4_k)) {
            struct block_q4_k block;
            memcpy(&block, rows, sizeof block);
            to->scale[r] = block.scale;
            to->lowest[r] = block.lowest;
            for (int i = 0; i < 3; i++) to->parts[i][r] = block.parts[i];
            for (int i = 0; i < 32; i++) to->numbers[i / 8][i % 8][r] = block.numbers[i / 8][i % 8];
        }
    }
}

void product_pack(const struct product_matrix *matrix, const void *rows, void *packed) {
    CHECK(product_fits(matrix->type, matrix->width, matrix->rows));
    struct product_matrix target = *matrix;
    target.packed = packed;
    switch (matrix->type) {
    case PRODUCT_Q8_0: pack_q8_0(&target, rows); return;
    case PRODUCT_Q4_K: pack_q4_k(&target, rows); return;
    }
    __builtin_trap();
}

size_t product_rounded_bytes(int64_t width, int64_t count) {
    // Vectors lie together with those that there may be.
    return round_up((size_t)count, ROUNDED_TOGETHER) * (size_t)(width / 32) * sizeof(struct query_block);
}

void product_round(
    enum attention_level level, const struct product_vectors *vectors, void *rounded, int32_t thread, int32_t threads
) {
    CHECK(product_fits(vectors->type, vectors->width, PRODUCT_ROWS) && steps_of(level)->round_vectors);
    steps_of(level)->round_vectors(vectors, rounded, thread, threads);
}

void product_multiply(
    enum attention_level level, const struct product_matrix *matrix, const void *rounded, int64_t count, float *output,
    int32_t thread, int32_t threads
) {
    CHECK(product_fits(matrix->type, matrix->width, matrix->rows) && steps_of(level)->multiply_vectors);
    steps_of(level)->multiply_vectors(matrix, rounded, count, output, thread, threads);
}
