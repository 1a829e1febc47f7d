// What all kernels have in common.
#pragma once

/// How the numbers of a key or value row are stored.
enum attention_type {
    ATTENTION_F32 = 0,
    ATTENTION_F16 = 1,
    ATTENTION_BF16 = 2,
    /// Blocks of 32: an f16 scale and 32 signed bytes, as ggml stores them.
    ATTENTION_Q8_0 = 3,
    /// Blocks of 32: an f16 scale and 32 numbers of 4 bits from -8 on; of the 16 bytes the low halves come first, then the high ones.
    ATTENTION_Q4_0 = 4,
    /// The same from 0 on, with an f16 that is added, behind the scale.
    ATTENTION_Q4_1 = 5,
    /// Like ATTENTION_Q4_0, from -16 on, with 32 fifth bits before the bytes.
    ATTENTION_Q5_0 = 6,
    /// Like ATTENTION_Q4_1, with fifth bits.
    ATTENTION_Q5_1 = 7,
};

/// Which instructions are used.
enum attention_level {
    ATTENTION_PLAIN = 0, ///< what every machine of the architecture has
    ATTENTION_AVX2 = 1,  ///< AVX2, FMA and F16C
    ATTENTION_AVX512 = 2,
    ATTENTION_VNNI = 3,     ///< AVX-512 with products of bytes
    ATTENTION_AVX_VNNI = 4, ///< AVX2 with products of bytes
};

/// How several numbers become one.
enum attention_reduction {
    ATTENTION_SUM = 0,
    ATTENTION_MAX = 1,
};
