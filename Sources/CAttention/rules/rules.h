// Which functions a rule has.
#pragma once

#include "../check.h"
#include "cumulative.h"
#include "foresight.h"
#include "fixed.h"
#include "keydiff.h"
#include "profile.h"
#include "window_sum.h"

/// NULL for rules that score nothing.
static const struct attention_rule_table *rule_of(const struct attention_score *score) {
    switch (score->rule) {
    case ATTENTION_POSITIONAL: return NULL;
    case ATTENTION_WINDOW_SUM: return &window_sum_rule;
    case ATTENTION_CUMULATIVE: return &cumulative_rule;
    case ATTENTION_PROFILE: return score->profile.candidates_only ? &candidates_rule : &profile_rule;
    case ATTENTION_FORESIGHT: return score->foresight.received ? &foresight_rule : &foresight_alone_rule;
    case ATTENTION_KEYDIFF: return &keydiff_rule;
    case ATTENTION_FIXED: return &fixed_rule;
    case ATTENTION_CUSTOM: CHECK(score->custom.table); return score->custom.table;
    }
    __builtin_trap();
}
