// How many bytes rows take.
#pragma once

#include "include/CAttention.h"

/// How a storage type divides a row.
struct attention_blocks {
    int32_t numbers; ///< of a block
    size_t bytes;    ///< of a block
};

static inline struct attention_blocks blocks_of(enum attention_type type) {
    switch (type) {
    case ATTENTION_F32: return (struct attention_blocks){1, 4};
    case ATTENTION_F16: return (struct attention_blocks){1, 2};
    case ATTENTION_BF16: return (struct attention_blocks){1, 2};
    case ATTENTION_Q8_0: return (struct attention_blocks){32, 34};
    case ATTENTION_Q4_0: return (struct attention_blocks){32, 18};
    case ATTENTION_Q4_1: return (struct attention_blocks){32, 20};
    case ATTENTION_Q5_0: return (struct attention_blocks){32, 22};
    case ATTENTION_Q5_1: return (struct attention_blocks){32, 24};
    }
    __builtin_trap();
}

/// Bytes of `count` numbers, which are whole blocks.
static inline size_t stored_bytes(enum attention_type type, int32_t count) {
    struct attention_blocks blocks = blocks_of(type);
    return (size_t)(count / blocks.numbers) * blocks.bytes;
}

/// Whether a type's numbers come in blocks, as whole numbers times a scale.
static inline bool is_quantized(enum attention_type type) { return blocks_of(type).numbers > 1; }

/// Whether numbers have a fifth bit, apart from the others.
static inline bool has_fifths(enum attention_type type) { return type == ATTENTION_Q5_0 || type == ATTENTION_Q5_1; }

/// Whether something is added to a block's numbers.
static inline bool has_lowest(enum attention_type type) { return type == ATTENTION_Q4_1 || type == ATTENTION_Q5_1; }

/// What is taken from a block's numbers, if they are read as bits from 0 on (those of ATTENTION_Q8_0 with their sign
/// turned round).
static inline int32_t number_offset(enum attention_type type) {
    switch (type) {
    case ATTENTION_Q8_0: return 128;
    case ATTENTION_Q5_0: return 16;
    case ATTENTION_Q4_0: return 8;
    default: return 0;
    }
}

/// Whether so many numbers are whole blocks.
static inline bool stored_whole(enum attention_type type, int32_t count) {
    return count % blocks_of(type).numbers == 0;
}
