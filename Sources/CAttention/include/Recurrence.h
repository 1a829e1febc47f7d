/// What recurrent blocks do to the states of sequences, in place: short convolutions, and the gated delta rule (Yang, Kautz
/// and Hatamizadeh, arXiv 2412.06464). On the CPU, in 32-bit floats.
#pragma once

#include "AttentionTypes.h"

#include <stddef.h>
#include <stdint.h>

/// Successive tokens of one sequence, and what the block remembers of those before.
struct recurrent_run {
    float *inputs;   ///< `[taps - 1][channels]`: the last inputs of the convolution, the oldest first
    float *memory;   ///< `[heads][size][size]`, a row for each number of a value; NULL where nothing reads it
    int32_t column;  ///< of the first token in the batch
    int32_t columns; ///< tokens
};

/// One block's work for all tokens of a batch.
struct recurrent_batch {
    const struct recurrent_run *runs;
    int32_t run_count;
    enum attention_level level;
};

/// What a convolution reads and writes.
struct recurrent_convolution {
    const float *input;   ///< `[columns][channels]`
    const float *weights; ///< `[channels][taps]`, the newest input's last
    float *output;        ///< like input
    int32_t channels, taps;
};

/// What the delta rule reads and writes. A value's head h goes with head h modulo `key_heads` of queries and keys.
struct recurrent_delta {
    const float *query;  ///< `[columns][key_heads][size]`
    const float *key;    ///< likewise
    const float *value;  ///< `[columns][value_stride]`: `heads` vectors of `size` each
    size_t value_stride; ///< in floats
    const float *decay;  ///< `[columns][heads]`: what the memory is multiplied by
    const float *rate;   ///< `[columns][heads]`: how much of the difference to a value is learned
    float *output;       ///< `[columns][heads][size]`
    int32_t heads, key_heads, size;
};

/// Each channel's sum of its last inputs by its weights. To be called by all threads.
void recurrent_convolve(
    const struct recurrent_batch *batch, const struct recurrent_convolution *work, int32_t thread, int32_t threads);

/// Each head's memory M decays, learns rate * (value - M key) at the key, and answers M query / sqrt(size). To be called by
/// all threads.
void recurrent_learn(
    const struct recurrent_batch *batch, const struct recurrent_delta *work, int32_t thread, int32_t threads);
