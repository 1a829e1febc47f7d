// What all kernels have in common.
#pragma once

/// How the numbers of a key or value row are stored.
enum attention_type {
    ATTENTION_F32 = 0,
    ATTENTION_F16 = 1,
    ATTENTION_BF16 = 2,
    /// Blocks of 32: an f16 scale and 32 signed bytes, as ggml stores them.
    ATTENTION_Q8_0 = 3,
};

/// Which instructions are used.
enum attention_level {
    ATTENTION_PLAIN = 0, ///< what every machine of the architecture has
    ATTENTION_AVX2 = 1,  ///< AVX2, FMA and F16C
    ATTENTION_AVX512 = 2,
};

/// How several numbers become one.
enum attention_reduction {
    ATTENTION_SUM = 0,
    ATTENTION_MAX = 1,
};
