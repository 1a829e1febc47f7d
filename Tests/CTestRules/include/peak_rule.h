#pragma once

#include <CAttention.h>

/// What the rule of a test formula keeps: a score that an entry gets when it is written, and its peak.
struct peak_state {
    float decay;    ///< of the peak with every token
    float aging;    ///< what every token takes off the score
    float *written; ///< `[heads][count]`
    float *peaks;   ///< `[heads][count]`
};

/// written + peak - aging * age; the peak is the largest weight ever, decayed since.
const struct attention_rule_table *peak_rule_table(void);
