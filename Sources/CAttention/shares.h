// Sharing out units among threads, those that would be left over if each thread had the same number of a run's.
#pragma once

#include "check.h"
#include "slots.h"

/// ggml has no more.
#define MOST_THREADS 512

/// How many entries the units that each thread was given read.
struct shares {
    int32_t threads;
    int64_t total, most;
    int64_t given[MOST_THREADS];
};

/// Heads, or one for all of them where they choose together.
INLINE int units_of(const struct attention_run *run) {
    return run->cache->score.shares_choice ? 1 : run->cache->slots.heads;
}

/// About how many entries a unit of a run reads.
static int64_t entries_of(const struct attention_run *run) {
    const struct attention_slots *slots = &run->cache->slots;
    const struct attention_frozen *frozen = &run->cache->frozen;
    int64_t entries = run->used + run->columns < slots->count ? run->used + run->columns : slots->count;
    if (frozen->starts) entries += frozen->starts[slots->model_heads] / slots->model_heads;
    return run->cache->score.shares_choice ? entries * slots->heads : entries;
}

/// Gives a unit to the thread that has least.
static int32_t take_share(struct shares *shares, int64_t entries) {
    CHECK(shares->threads <= MOST_THREADS);
    int32_t least = 0;
    for (int32_t i = 1; i < shares->threads; i++)
        if (shares->given[i] < shares->given[least]) least = i;
    shares->given[least] += entries;
    shares->total += entries;
    if (shares->given[least] > shares->most) shares->most = shares->given[least];
    return least;
}

/// Gives away the units of a run that are left over.
static void share_rest(struct shares *shares, const struct attention_run *run) {
    const int64_t entries = entries_of(run);
    for (int i = 0; i < units_of(run) % shares->threads; i++) take_share(shares, entries);
}

/// Whether no thread has much more than the others, so that each may work alone.
static bool are_even(const struct shares *shares) { return 4 * shares->most * shares->threads <= 5 * shares->total; }
