/// What each rule keeps: the tensors by which it chooses the slot that a token takes.
#pragma once

#include "AttentionTypes.h"

#include <stdbool.h>
#include <stdint.h>

/// ATTENTION_WINDOW_SUM. Weights are added to `fresh`. Every `query_count` queries the sums rotate: `fresh` becomes
/// `expiring` and starts at zero, so that what rounding left in a sum is dropped with it. The phase of a run is the
/// number of queries since the last rotation.
struct attention_window_sum {
    int32_t query_count;
    float *fresh;       ///< `[heads][count]`: weights given since the last rotation
    float *expiring;    ///< `[heads][count]`: weights given before it, by queries that are still in the window
    float *queries;     ///< `[query_count][heads][group][dimension]`: the last queries, not scaled; a ring by position
    float *normalizers; ///< `[query_count][heads][group]`: logarithms of their softmax denominators
};

/// ATTENTION_CUMULATIVE.
struct attention_cumulative {
    float decay;
    float *scores; ///< `[heads][count]`
};

/// ATTENTION_PROFILE.
struct attention_profile {
    int32_t query_count;
    /// `[query_count][heads][rows_per_head][count]`, a ring by position: the weights that each query gave, reduced over
    /// the group; or its scores before the softmax, if `candidates_only`.
    float *scores;
    /// Where each query head's scores are normalised by themselves `group`, times one more than blocks only read; else 1.
    int32_t rows_per_head;
    enum attention_reduction fusion; ///< of what the queries gave
    bool candidates_only; ///< whether each query's scores are normalised over the slots that may be chosen only
};

/// The most ages that a score may be stated for.
#define ATTENTION_MOST_AGES 8
/// Codes are from minus this to this; code c means sign(c) * (c / 127)^2.
#define ATTENTION_LARGEST_CODE 127

/// ATTENTION_FORESIGHT. An entry's score is the code of the largest age that is not above its own, plus lambda * received.
/// Its features are the codes for all ages.
struct attention_foresight {
    int32_t age_count;
    int32_t ages[ATTENTION_MOST_AGES]; ///< ascending; the first holds for younger entries too
    float lambda, decay;
    int8_t *codes;   ///< `[age_count][heads][count]`
    float *received; ///< `[heads][count]`: decay * received + weight; NULL if it does not count
};

/// ATTENTION_KEYDIFF. Nothing is kept: the keys are read at each choice.
struct attention_keydiff {
    float *means;   ///< `[heads][padded]` to work in
    int32_t padded; ///< at least attention_padded(dimension)
};

/// ATTENTION_FIXED.
struct attention_fixed {
    float *scores;  ///< `[heads][count]`
    bool is_random; ///< whether an entry's score is attention_random(seed, head, position); else it is its position
    uint32_t seed;
};

struct attention_rule_table;

/// ATTENTION_CUSTOM.
struct attention_custom {
    const struct attention_rule_table *table;
    void *state; ///< what the table's functions keep; the kernel does not look at it
};
