// How one thread's working memory is laid out, whatever the instructions.
#pragma once

#include "check.h"
#include <stddef.h>
#include <stdint.h>

/// Floats of a line of 64 bytes: where areas begin, so that no two threads write into one line.
#define WORKSPACE_LINE 16

/// Numbers per slot while a slot is chosen: the scores, one head's where several are added up, and two that the rule
/// works in.
#define CHOICE_ROWS 4

/// 32 numbers of a query, rounded: whole numbers times a scale.
struct query_block {
    int8_t codes[32];
    float scale;
    float total;   ///< the sum of the numbers
    int32_t start; ///< what products with bytes of keys begin with, whose numbers are not counted from 0
};

/// The areas of a workspace, for one token of one KV head.
struct workspace {
    int32_t *slot;      ///< the chosen one
    float *peaks;       ///< `[group]`: highest score of a thread's range
    float *highest;     ///< `[group]`: highest score of all
    float *sums;        ///< `[group]`: sum of the exponentials of a thread's range
    float *factors;     ///< `[group]`: one over the sum of all
    float *normalizers; ///< `[group]`: logarithms of the softmax denominators
    float *queries;     ///< `[2 * group][padded]`: scaled; the current ones, then the leaving ones
    float *turned_queries; ///< `[2 * group][padded]`: the same for keys in a frame of their own
    float *frozen_queries; ///< `[group][padded]`: scaled, where frozen entries see others
    struct query_block *rounded; ///< `[5 * group][padded / 32]`: the three before in whole numbers, where keys are quantised: own,
                                 ///< leaving and frozen ones, then the turned ones
    float *outputs;     ///< `[group][padded]`
    float *reduced;     ///< `[stride]`: weights, reduced over the group
    float *room;        ///< `[stride]`: for the rule
    float *scores;      ///< `[2 * group][stride]`: slots, then frozen entries
    float *choice;      ///< `[CHOICE_ROWS][stride]`: in the memory of the three before, which a choice precedes
    size_t stride;      ///< a float for each slot and each frozen entry
    size_t padded;      ///< a float for each number of a row, then zeros
    size_t floats;      ///< of the whole workspace
};

static inline size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

/// Floats of a row's numbers and the zeros behind them.
static inline size_t padded_row(int32_t dimension) { return round_up((size_t)dimension, WORKSPACE_LINE); }

/// The next area; `base` is NULL where only sizes are wanted.
static inline float *take_area(float *base, size_t *used, size_t floats) {
    float *area = base ? base + *used : NULL;
    *used += round_up(floats, WORKSPACE_LINE);
    return area;
}

/// The workspace that begins at `base`, or its sizes if that is NULL.
///
/// - stride: at least the slots and the frozen entries, each rounded up to a line.
static inline struct workspace workspace_at(float *base, int32_t dimension, int32_t group, size_t stride) {
    struct workspace w = {.stride = stride, .padded = padded_row(dimension)};
    size_t heads = (size_t)group, used = 0;
    w.slot = (int32_t *)take_area(base, &used, 1);
    w.peaks = take_area(base, &used, heads);
    w.highest = take_area(base, &used, heads);
    w.sums = take_area(base, &used, heads);
    w.factors = take_area(base, &used, heads);
    w.normalizers = take_area(base, &used, heads);
    w.queries = take_area(base, &used, 2 * heads * w.padded);
    w.turned_queries = take_area(base, &used, 2 * heads * w.padded);
    w.frozen_queries = take_area(base, &used, heads * w.padded);
    w.rounded = (struct query_block *)take_area(
        base, &used, 5 * heads * (round_up(w.padded, 32) / 32) * (sizeof(struct query_block) / sizeof(float)));
    w.outputs = take_area(base, &used, heads * w.padded);
    size_t shared = used;
    w.choice = take_area(base, &shared, CHOICE_ROWS * stride);
    w.reduced = take_area(base, &used, stride);
    w.room = take_area(base, &used, stride);
    w.scores = take_area(base, &used, 2 * heads * stride);
    CHECK(shared <= used);
    w.floats = used;
    return w;
}

/// The stride for some slots and frozen entries.
static inline size_t workspace_stride(size_t slots, size_t frozen) {
    return round_up(slots, WORKSPACE_LINE) + round_up(frozen, WORKSPACE_LINE);
}

/// The largest stride for so many entries, however they are divided into slots and frozen ones.
static inline size_t largest_workspace_stride(size_t entries) {
    return round_up(entries + WORKSPACE_LINE - 1, WORKSPACE_LINE);
}
