/// What recurrent blocks do to the states of sequences, in place: short convolutions, the gated delta rule (Yang, Kautz and
/// Hatamizadeh, arXiv 2412.06464), and the state space of Mamba 2 (Dao and Gu, arXiv 2405.21060). On the CPU, in 32-bit floats.
#pragma once

#include "AttentionTypes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Successive tokens of one sequence, and what the block remembers of those before.
struct recurrent_run {
    float *inputs;   ///< `[taps - 1][channels]`: the last inputs of the convolution, the oldest first
    float *memory;   ///< `[heads][size][key_size]`, a row for each number of a value; NULL where nothing reads it
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

/// What the delta rule, or a state space, reads and writes.
struct recurrent_delta {
    const float *query;  ///< `[columns][key_heads][key_size]`
    const float *key;    ///< likewise
    const float *value;  ///< `[columns][value_stride]`: `heads` vectors of `size` each
    size_t value_stride; ///< in floats
    const float *decay;  ///< `[columns][heads]`: what the memory is multiplied by
    const float *rate;   ///< `[columns][heads]`: how much of the difference to a value is learned
    const float *passing; ///< `[heads]`: how much of a value is answered at once; NULL: nothing
    float *output;       ///< `[columns][heads][size]`
    int32_t heads, key_heads;
    int32_t size;      ///< numbers of a value
    int32_t key_size;  ///< numbers of a key or query
    /// Whether only the difference to what is known is learned, and answers are divided by sqrt(key_size): the delta rule.
    bool corrects;
    /// Whether successive heads share a head of queries and keys; else head h has head h modulo `key_heads`.
    bool groups_heads;
};

/// Each channel's sum of its last inputs by its weights. To be called by all threads.
void recurrent_convolve(
    const struct recurrent_batch *batch, const struct recurrent_convolution *work, int32_t thread, int32_t threads);

/// Each head's memory M decays, learns rate * (value - M key) at the key, and answers M query / sqrt(key_size); without
/// `corrects` it learns rate * value, and answers M query. Then comes what passes of the value. To be called by all threads.
void recurrent_learn(
    const struct recurrent_batch *batch, const struct recurrent_delta *work, int32_t thread, int32_t threads);
