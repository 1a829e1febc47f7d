/// Scoring formulas that are not built into the kernel, as another target would add them.
#pragma once

#include <CAttention.h>

#include "peak_rule.h"

/// The slots' scores of a rule that scores an entry once, when it is written, and needs no weights.
struct test_written_once {
    float *scores; ///< `[heads][count]`
};

/// The first feature of a token minus its second is its score. The state is a `test_written_once`.
const struct attention_rule_table *test_written_once_rule(void);

/// What a rule whose scores peak and age knows of each slot.
struct test_peaking {
    float half_life; ///< positions
    float *peaks;    ///< `[heads][count]`: the largest weight, aged, when it was given
    float *times;    ///< `[heads][count]`: when that was
    float *counts;   ///< `[heads][count]`: how often a peak was passed
};

/// A weight that is larger than what age has left of an entry's peak becomes its peak. The score is what is left, times
/// the number of peaks, divided by the age of the entry itself. The state is a `test_peaking`.
const struct attention_rule_table *test_peaking_rule(void);
