// Choosing the slot that a token takes, and updating the scores that the choice is made by.

/// Where a head's part of an array with one number per slot begins.
INLINE size_t head_offset(const struct attention_cache *cache, int head) { return (size_t)head * (size_t)cache->slots; }

/// The votes of one ring row of one head, for one of its voters.
INLINE float *votes_row(const struct attention_cache *cache, int row, int head, int voter) {
    size_t index = ((size_t)row * (size_t)cache->heads + (size_t)head) * (size_t)cache->voters + (size_t)voter;
    return cache->votes + index * (size_t)cache->slots;
}

/// Whether slots may not be chosen by score: the window, the sinks, and empty ones (which are chosen before).
INLINE vi is_protected(const struct attention_cache *cache, vf positions, float position) {
    vi recent = positions >= splat(position - (float)cache->window);
    vi sink = positions < splat((float)cache->sinks);
    return recent | sink;
}

/// Whether slots hold nothing that the layer still sees.
INLINE vi is_out_of_sight(const struct attention_cache *cache, vf positions, float position) {
    float first = cache->sliding_window > 0 ? position - (float)cache->sliding_window + 1 : 0;
    vi behind = positions < splat(first > 0 ? first : 0);
    if (cache->visible_sinks <= 0) return behind;
    return behind & ~((positions >= splat(0)) & (positions < splat((float)cache->visible_sinks)));
}

/// One voter's scores become shares of the evictable slots.
static void normalize_votes(
    const struct attention_cache *cache, const float *votes, const float *positions, int rows, float position, float *to
) {
    vf highest = splat(-INFINITY);
    for (int i = 0; i < rows; i += LANES) {
        vf held = load_part(positions + i, rows - i, -1);
        vi out = is_protected(cache, held, position) | is_out_of_sight(cache, held, position);
        vf vote = choose(out, splat(-INFINITY), load_part(votes + i, rows - i, 0));
        highest = larger(highest, vote);
        store_part(vote, to + i, rows - i);
    }
    vf peak = splat(max_lanes(highest));
    vf sum = splat(0);
    for (int i = 0; i < rows; i += LANES) {
        vf share = exp_lanes(load_part(to + i, rows - i, -INFINITY) - peak);
        sum += share;
        store_part(share, to + i, rows - i);
    }
    float total = sum_lanes(sum);
    vf factor = splat(total > 0 ? 1 / total : 0);
    for (int i = 0; i < rows; i += LANES) store_part(load_part(to + i, rows - i, 0) * factor, to + i, rows - i);
}

/// fused = the larger of, or the sum of, fused and votes.
static void fuse_votes(const float *votes, int rows, int by_maximum, float *fused) {
    for (int i = 0; i < rows; i += LANES) {
        vf old = load_part(fused + i, rows - i, 0), new = load_part(votes + i, rows - i, 0);
        store_part(by_maximum ? larger(old, new) : old + new, fused + i, rows - i);
    }
}

/// Whether a row of the ring belongs to a query before `position`, and not to one before the cache's origin.
INLINE int holds_query(const struct attention_cache *cache, int row, int64_t position) {
    int64_t last = position - 1;
    return last >= row && last - (last - row) % cache->query_count >= cache->origin;
}

/// The score of each slot from the votes of the ring. `scratch` has room for two numbers per slot.
static void fuse_ring(
    const struct attention_cache *cache, int head, int rows, int64_t position, float *scores, float *scratch
) {
    const float *positions = cache->positions + head_offset(cache, head);
    float *shares = scratch, *best = scratch + rows;
    memset(scores, 0, (size_t)rows * sizeof(float));
    for (int row = 0; row < cache->query_count; row++) {
        if (!holds_query(cache, row, position)) continue;
        if (!cache->candidates_only) {
            fuse_votes(votes_row(cache, row, head, 0), rows, cache->fusion_max, scores);
            continue;
        }
        normalize_votes(cache, votes_row(cache, row, head, 0), positions, rows, (float)position, best);
        for (int voter = 1; voter < cache->voters; voter++) {
            normalize_votes(cache, votes_row(cache, row, head, voter), positions, rows, (float)position, shares);
            fuse_votes(shares, rows, 1, best);
        }
        fuse_votes(best, rows, cache->fusion_max, scores);
    }
}

/// The score of each slot of one head.
static void slot_scores(
    const struct attention_cache *cache, int head, int rows, int64_t position, int hands_over, float *scores,
    float *scratch
) {
    size_t at = head_offset(cache, head);
    switch (cache->rule) {
    case ATTENTION_WINDOW_SUM:
        memcpy(scores, cache->fresh + at, (size_t)rows * sizeof(float));
        if (!hands_over) fuse_votes(cache->expiring + at, rows, 0, scores);
        break;
    case ATTENTION_CUMULATIVE: memcpy(scores, cache->fresh + at, (size_t)rows * sizeof(float)); break;
    case ATTENTION_PROFILE: fuse_ring(cache, head, rows, position, scores, scratch); break;
    case ATTENTION_POSITIONAL: break;
    }
}

/// The lowest score outside the window and the sinks; of equal ones the highest position. Entries that the layer no
/// longer sees go first.
static int lowest_slot(
    const struct attention_cache *cache, const float *positions, const float *scores, int rows, int64_t position
) {
    vf low = splat(INFINITY), low_position = splat(-1);
    vi low_index = 0, index;
    for (int i = 0; i < LANES; i++) index[i] = i;
    for (int i = 0; i < rows; i += LANES) {
        vf held = load_part(positions + i, rows - i, (float)position);
        vf score = load_part(scores + i, rows - i, 0);
        vi gone = is_out_of_sight(cache, held, (float)position);
        score = choose(gone, splat(-1e30f), score);
        vi open = ~is_protected(cache, held, (float)position) | gone;
        vi better = open & ((score < low) | ((score == low) & (held > low_position)));
        low = choose(better, score, low);
        low_position = choose(better, held, low_position);
        low_index = (index & better) | (low_index & ~better);
        index += LANES;
    }
    int best = 0;
    for (int i = 1; i < LANES; i++) {
        if (low[i] < low[best] || (low[i] == low[best] && low_position[i] > low_position[best])) best = i;
    }
    return low_index[best];
}

static int first_empty(const float *positions, int rows) {
    for (int i = 0; i < rows; i++) {
        if (positions[i] < 0) return i;
    }
    return -1;
}

/// The slot that one head's token takes: an empty one, else the one with the lowest score.
static int chosen_slot(
    const struct attention_cache *cache, int head, int used, int64_t position, int hands_over, float *scores,
    float *scratch
) {
    if (used < cache->slots)
        return cache->has_gaps ? first_empty(cache->positions + head_offset(cache, head), cache->slots) : used;
    int rows = cache->slots;
    if (cache->shares_choice) {
        memset(scores, 0, (size_t)rows * sizeof(float));
        for (int h = 0; h < cache->heads; h++) {
            slot_scores(cache, h, rows, position, hands_over, scratch, scratch + rows);
            fuse_votes(scratch, rows, 0, scores);
        }
        return lowest_slot(cache, cache->positions, scores, rows, position);
    }
    slot_scores(cache, head, rows, position, hands_over, scores, scratch);
    return lowest_slot(cache, cache->positions + head_offset(cache, head), scores, rows, position);
}

/// Nothing that was said of the entry before counts for the one that takes its slot.
static void forget_slot(const struct attention_cache *cache, int head, int slot, int64_t position) {
    size_t at = head_offset(cache, head) + (size_t)slot;
    cache->positions[at] = (float)position;
    switch (cache->rule) {
    case ATTENTION_WINDOW_SUM: cache->fresh[at] = cache->expiring[at] = 0; break;
    case ATTENTION_CUMULATIVE: cache->fresh[at] = 0; break;
    case ATTENTION_PROFILE:
        for (int row = 0; row < cache->query_count; row++)
            for (int voter = 0; voter < cache->voters; voter++)
                votes_row(cache, row, head, voter)[slot] = cache->candidates_only ? -1e30f : 0;
        break;
    case ATTENTION_POSITIONAL: break;
    }
}

/// The group's reduced weight of each slot from `begin` to `end`: factors[g] * weights[g].
static void reduce_group(
    const struct attention_cache *cache, const float *weights, size_t stride, const float *factors, int begin, int end,
    float *to
) {
    for (int i = begin; i < end; i += LANES) {
        vf total = load(weights + i) * factors[0];
        for (int g = 1; g < cache->group; g++) {
            vf weight = load(weights + (size_t)g * stride + i) * factors[g];
            total = cache->group_max ? larger(total, weight) : total + weight;
        }
        store_part(total, to + i, end - i);
    }
}

/// The weights that the query now leaving the window gave, from its scores and its normalisers; entries younger than
/// it got none.
static void expired_weights(
    const struct attention_cache *cache, const float *scores, size_t stride, const float *normalizers,
    const float *positions, float expired, int begin, int end, float *to
) {
    for (int i = begin; i < end; i += LANES) {
        vf total = splat(0);
        for (int g = 0; g < cache->group; g++) {
            vf weight = exp_lanes(load(scores + (size_t)g * stride + i) - normalizers[g]);
            total = cache->group_max ? larger(total, weight) : total + weight;
        }
        vf held = load_part(positions + i, end - i, 0);
        store_part(choose(held <= splat(expired), total, splat(0)), to + i, end - i);
    }
}

/// Adds the current weights, takes off the expired ones, and hands the fresh scores over when their window is full.
static void update_window_sum(
    float *fresh, float *expiring, const float *now, const float *then, int hands_over, int begin, int end
) {
    for (int i = begin; i < end; i += LANES) {
        int left = end - i;
        vf new = load_part(fresh + i, left, 0), old = load_part(expiring + i, left, 0);
        if (hands_over) {
            old = new;
            new = splat(0);
        }
        store_part(new + load_part(now + i, left, 0), fresh + i, left);
        store_part(then ? old - load_part(then + i, left, 0) : old, expiring + i, left);
    }
}

static void update_cumulative(float *score, const float *now, float decay, int begin, int end) {
    for (int i = begin; i < end; i += LANES) {
        int left = end - i;
        store_part(load_part(score + i, left, 0) * decay + load_part(now + i, left, 0), score + i, left);
    }
}
