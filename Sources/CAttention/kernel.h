// One batch of attention, for the instructions that the including file is compiled for.
//
// Work comes in units of one KV head of one run. Where a run has enough heads, each thread has its own; else all threads
// work on one unit at a time, each on its range of entries, with barriers between the phases.
#include "simd.h"
#include "rows.h"
#include "scores.h"
#include "team.h"

/// The parts of a workspace, for one unit.
struct scratch {
    float *peaks;   ///< `[group]`: highest score of a thread's range
    float *highest; ///< `[group]`: highest score of all
    float *sums;    ///< `[group]`: sum of the exponentials of a thread's range
    float *factors; ///< `[group]`: one over the sum of all
    float *query;   ///< `[2 * group][padded]`: scaled; the current ones, then the expiring ones
    float *outputs; ///< `[group][padded]`
    float *scores;  ///< `[2 * group][stride]`
    float *now;     ///< `[stride]`
    float *then;    ///< `[stride]`
    float *slot;    ///< the chosen slot
};

INLINE size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

static struct scratch scratch_at(float *base, const struct attention_cache *cache, size_t stride, int padded) {
    struct scratch s;
    size_t group = (size_t)cache->group;
    s.slot = base;
    s.peaks = base + 16;
    s.highest = s.peaks + round_up(group, 16);
    s.sums = s.highest + round_up(group, 16);
    s.factors = s.sums + round_up(group, 16);
    s.query = s.factors + round_up(group, 16);
    s.outputs = s.query + 2 * group * (size_t)padded;
    s.now = s.outputs + group * (size_t)padded;
    s.then = s.now + stride;
    s.scores = s.then + stride;
    return s;
}

/// One token of one KV head.
struct unit {
    const struct attention_cache *cache;
    int head;
    int64_t position;
    int used;         ///< filled slots before this token
    int slot;         ///< under ATTENTION_POSITIONAL
    int hands_over;
    const float *query, *key, *value;
    float *output;
};

static void scale_rows(const float *from, int count, int dimension, int padded, float scale, float *to) {
    for (int row = 0; row < count; row++) {
        memset(to + row * padded, 0, (size_t)padded * sizeof(float));
        for (int d = 0; d < dimension; d++) to[row * padded + d] = from[row * dimension + d] * scale;
    }
}

/// Makes room for the token and writes it; returns its slot.
static int admit(const struct unit *u, const struct scratch *s, float *room) {
    const struct attention_cache *cache = u->cache;
    int slot = u->slot;
    if (cache->rule != ATTENTION_POSITIONAL) {
        // A shared choice was made for the first head; it looks at all heads, before any of them changes.
        if (!cache->shares_choice || u->head == 0)
            slot = chosen_slot(cache, u->head, u->used, u->position, u->hands_over, s->now, room);
        else
            slot = (int)*s->slot;
        forget_slot(cache, u->head, slot, u->position);
    }
    size_t row = head_offset(cache, u->head) + (size_t)slot;
    attention_store_row(
        cache->key_type, u->key, (char *)cache->keys + row * attention_row_bytes(cache->key_type, cache->dimension),
        cache->dimension);
    attention_store_row(
        cache->value_type, u->value,
        (char *)cache->values + row * attention_row_bytes(cache->value_type, cache->dimension), cache->dimension);
    return slot;
}

/// Hides entries that are empty or behind the sliding window.
static void hide(
    const struct attention_cache *cache, float *scores, const float *positions, int count, int64_t position
) {
    for (int i = 0; i < count; i += LANES) {
        vf held = load_part(positions + i, count - i, -1);
        vf score = load_part(scores + i, count - i, 0);
        vi hidden = is_out_of_sight(cache, held, (float)position);
        store_part(choose(hidden, splat(-INFINITY), score), scores + i, count - i);
    }
}

/// The entries that a thread reads: first frozen ones, then slots.
struct range {
    int64_t frozen_begin, frozen_end;
    int begin, end; ///< slots
};

static struct range range_of(const struct team *team, int64_t frozen, int slots) {
    int64_t total = frozen + slots;
    int64_t share = (total / team->size + LANES) / LANES * LANES;
    int64_t first = share * team->rank, last = first + share;
    if (first > total) first = total;
    if (last > total || team->rank == team->size - 1) last = total;
    struct range r;
    r.frozen_begin = first < frozen ? first : frozen;
    r.frozen_end = last < frozen ? last : frozen;
    // Ranges of slots begin at full vectors, so that no two threads write into one.
    int64_t begin = first > frozen ? first - frozen : 0, end = last > frozen ? last - frozen : 0;
    r.begin = first == total ? slots : (int)(begin / LANES * LANES);
    r.end = last == total ? slots : (int)(end / LANES * LANES);
    if (r.begin > r.end) r.begin = r.end;
    return r;
}

/// What a unit reads: bases of the rows of its head.
struct rows {
    const char *frozen_keys, *frozen_values, *keys, *values;
    const float *frozen_positions, *positions;
    int64_t frozen; ///< frozen entries
    size_t frozen_stride; ///< floats that their scores take
};

/// The model's number of one of the cache's KV heads.
INLINE int model_head(const struct attention_cache *cache, int head) {
    return cache->head_numbers ? cache->head_numbers[head] : head;
}

static struct rows rows_of(const struct attention_cache *cache, int head) {
    struct rows r = {0};
    size_t key_bytes = attention_row_bytes(cache->key_type, cache->dimension);
    size_t value_bytes = attention_row_bytes(cache->value_type, cache->dimension);
    size_t at = head_offset(cache, head);
    r.keys = (const char *)cache->keys + at * key_bytes;
    r.values = (const char *)cache->values + at * value_bytes;
    r.positions = cache->positions ? cache->positions + at : NULL;
    if (cache->frozen_starts) {
        int number = model_head(cache, head);
        size_t start = (size_t)cache->frozen_starts[number];
        r.frozen = cache->frozen_starts[number + 1] - cache->frozen_starts[number];
        r.frozen_keys = (const char *)cache->frozen_keys + start * key_bytes;
        r.frozen_values = (const char *)cache->frozen_values + start * value_bytes;
        r.frozen_positions = cache->frozen_positions + start;
        r.frozen_stride = round_up((size_t)r.frozen, LANES);
    }
    return r;
}

/// Scores of a range of entries, and their highest per query head. Slots' scores come first, then frozen ones.
static void score_range(
    const struct unit *u, const struct rows *rows, const struct range *range, int slots, int queries,
    const struct scratch *s, size_t stride, int padded, float *peaks
) {
    const struct attention_cache *cache = u->cache;
    int count = range->end - range->begin, frozen = (int)(range->frozen_end - range->frozen_begin);
    size_t key_bytes = attention_row_bytes(cache->key_type, cache->dimension);
    size_t frozen_at = round_up((size_t)slots, LANES) + (size_t)range->frozen_begin;
    dot_rows(
        cache->key_type, rows->keys + (size_t)range->begin * key_bytes, count, s->query, queries, padded,
        cache->dimension, s->scores + range->begin, stride);
    if (frozen > 0)
        dot_rows(
            cache->key_type, rows->frozen_keys + (size_t)range->frozen_begin * key_bytes, frozen, s->query,
            cache->group, padded, cache->dimension, s->scores + frozen_at, stride);
    for (int g = 0; g < cache->group; g++) {
        float *live = s->scores + (size_t)g * stride + range->begin;
        float *old = s->scores + (size_t)g * stride + frozen_at;
        if (cache->rule == ATTENTION_PROFILE && cache->candidates_only && count > 0) {
            float *row = votes_row(
                cache, (int)(u->position % cache->query_count), u->head, cache->voters > 1 ? g : 0) + range->begin;
            if (g == 0 || cache->voters > 1) memcpy(row, live, (size_t)count * sizeof(float));
            else fuse_votes(live, count, 0, row);
        }
        if (rows->positions && (cache->has_gaps || cache->sliding_window > 0))
            hide(cache, live, rows->positions + range->begin, count, u->position);
        if (cache->sliding_window > 0 && frozen > 0)
            hide(cache, old, rows->frozen_positions + range->frozen_begin, frozen, u->position);
        vf peak = splat(-INFINITY);
        for (int i = 0; i < count; i += LANES) peak = larger(peak, load_part(live + i, count - i, -INFINITY));
        for (int i = 0; i < frozen; i += LANES) peak = larger(peak, load_part(old + i, frozen - i, -INFINITY));
        peaks[g] = max_lanes(peak);
    }
}

static float exponentials(float *scores, int count, float peak) {
    vf sum = splat(0);
    for (int i = 0; i < count; i += LANES) {
        vf weight = exp_lanes(load_part(scores + i, count - i, -INFINITY) - peak);
        sum += weight;
        store_part(weight, scores + i, count - i);
    }
    return sum_lanes(sum);
}

/// Scores become unnormalised weights, and the range's values are summed by them.
static void weigh_range(
    const struct unit *u, const struct rows *rows, const struct range *range, int slots, const struct scratch *s,
    size_t stride, int padded, const float *peaks, const struct scratch *own
) {
    const struct attention_cache *cache = u->cache;
    int count = range->end - range->begin, frozen = (int)(range->frozen_end - range->frozen_begin);
    size_t value_bytes = attention_row_bytes(cache->value_type, cache->dimension);
    size_t frozen_at = round_up((size_t)slots, LANES) + (size_t)range->frozen_begin;
    for (int g = 0; g < cache->group; g++) {
        float *row = s->scores + (size_t)g * stride;
        own->sums[g] = exponentials(row + range->begin, count, peaks[g]) + exponentials(row + frozen_at, frozen, peaks[g]);
    }
    memset(own->outputs, 0, (size_t)cache->group * (size_t)padded * sizeof(float));
    weigh_rows(
        cache->value_type, rows->values + (size_t)range->begin * value_bytes, count, s->scores + range->begin, stride,
        cache->group, cache->dimension, own->outputs, padded);
    if (frozen > 0)
        weigh_rows(
            cache->value_type, rows->frozen_values + (size_t)range->frozen_begin * value_bytes, frozen,
            s->scores + frozen_at, stride, cache->group, cache->dimension, own->outputs, padded);
}

/// Brings the scores of a range of slots up to date with this token's weights.
static void update_scores(
    const struct unit *u, const struct rows *rows, const struct range *range, const struct scratch *s, size_t stride
) {
    const struct attention_cache *cache = u->cache;
    size_t at = head_offset(cache, u->head);
    if (cache->rule == ATTENTION_POSITIONAL || range->begin == range->end) return;
    if (cache->rule == ATTENTION_PROFILE && cache->candidates_only) return;
    reduce_group(cache, s->scores, stride, s->factors, range->begin, range->end, s->now);
    if (cache->rule == ATTENTION_CUMULATIVE) {
        update_cumulative(cache->fresh + at, s->now, cache->decay, range->begin, range->end);
    } else if (cache->rule == ATTENTION_PROFILE) {
        float *row = votes_row(cache, (int)(u->position % cache->query_count), u->head, 0);
        memcpy(row + range->begin, s->now + range->begin, (size_t)(range->end - range->begin) * sizeof(float));
    } else {
        int64_t expired = u->position - cache->query_count;
        if (expired >= 0) {
            size_t row = (size_t)(u->position % cache->query_count) * (size_t)cache->heads + (size_t)u->head;
            expired_weights(
                cache, s->scores + (size_t)cache->group * stride, stride,
                cache->normalizers + row * (size_t)cache->group, rows->positions, (float)expired, range->begin,
                range->end, s->then);
        }
        update_window_sum(
            cache->fresh + at, cache->expiring + at, s->now, expired >= 0 ? s->then : NULL, u->hands_over,
            range->begin, range->end);
    }
}

/// Puts this token's queries and the logarithms of their softmax denominators into the ring.
static void remember_query(const struct unit *u, const struct scratch *s, const float *peaks) {
    const struct attention_cache *cache = u->cache;
    if (cache->rule != ATTENTION_WINDOW_SUM) return;
    size_t row = (size_t)(u->position % cache->query_count) * (size_t)cache->heads + (size_t)u->head;
    size_t size = (size_t)cache->group * (size_t)cache->dimension;
    memcpy(cache->queries + row * size, u->query, size * sizeof(float));
    for (int g = 0; g < cache->group; g++)
        cache->normalizers[row * (size_t)cache->group + (size_t)g] = peaks[g] - logf(s->factors[g]);
}

/// The team's parts become the head's results.
static void merge(
    const struct unit *u, const struct team *team, const struct scratch *s, size_t stride, int padded
) {
    const struct attention_cache *cache = u->cache;
    for (int g = 0; g < cache->group; g++) {
        float *to = u->output + (size_t)g * (size_t)cache->dimension;
        for (int d = 0; d < cache->dimension; d += LANES) {
            vf sum = splat(0);
            for (int rank = 0; rank < team->size; rank++) {
                struct scratch part = team->size == 1
                    ? *s : scratch_at(team->shared + (size_t)rank * team->batch->workspace_stride, cache, stride, padded);
                sum += load(part.outputs + g * padded + d);
            }
            store_part(sum * s->factors[g], to + d, cache->dimension - d);
        }
    }
}

/// The highest scores or the sums of the whole team.
static void combine(
    const struct unit *u, const struct team *team, const struct scratch *s, size_t stride, int padded, int sums,
    float *to
) {
    for (int g = 0; g < u->cache->group; g++) {
        float result = sums ? 0 : -INFINITY;
        for (int rank = 0; rank < team->size; rank++) {
            struct scratch part = team->size == 1
                ? *s : scratch_at(team->shared + (size_t)rank * team->batch->workspace_stride, u->cache, stride, padded);
            float value = sums ? part.sums[g] : part.peaks[g];
            result = sums ? result + value : value > result ? value : result;
        }
        to[g] = result;
    }
}

static void attend(const struct unit *u, const struct team *team) {
    const struct attention_cache *cache = u->cache;
    struct rows rows = rows_of(cache, u->head);
    int slots = cache->has_gaps ? cache->slots : u->used < cache->slots ? u->used + 1 : cache->slots;
    if (cache->rule == ATTENTION_POSITIONAL && u->slot >= slots) slots = u->slot + 1;
    size_t stride = round_up((size_t)slots, LANES) + rows.frozen_stride;
    int padded = (int)round_up((size_t)cache->dimension, LANES);
    struct scratch s = scratch_at(team->shared, cache, stride, padded);
    struct scratch own = scratch_at(team->own, cache, stride, padded);
    int expires = cache->rule == ATTENTION_WINDOW_SUM && u->position >= cache->query_count;
    if (team->rank == 0) {
        int slot = admit(u, &s, s.then);
        *s.slot = (float)slot;
        scale_rows(u->query, cache->group, cache->dimension, padded, cache->scale, s.query);
        if (expires) {
            size_t row = (size_t)(u->position % cache->query_count) * (size_t)cache->heads + (size_t)u->head;
            scale_rows(
                cache->queries + row * (size_t)cache->group * (size_t)cache->dimension, cache->group, cache->dimension,
                padded, cache->scale, s.query + (size_t)cache->group * (size_t)padded);
        }
    }
    wait_for_team(team);
    struct range range = range_of(team, rows.frozen, slots);
    score_range(u, &rows, &range, slots, cache->group * (expires ? 2 : 1), &s, stride, padded, own.peaks);
    wait_for_team(team);
    combine(u, team, &s, stride, padded, 0, own.highest);
    weigh_range(u, &rows, &range, slots, &s, stride, padded, own.highest, &own);
    wait_for_team(team);
    if (team->rank == 0) {
        combine(u, team, &s, stride, padded, 1, s.factors);
        for (int g = 0; g < cache->group; g++) s.factors[g] = 1 / s.factors[g];
        merge(u, team, &s, stride, padded);
    }
    wait_for_team(team);
    update_scores(u, &rows, &range, &s, stride);
    // Others may still read the normalisers of the query that is overwritten.
    wait_for_team(team);
    if (team->rank == 0) remember_query(u, &s, own.highest);
}

/// All tokens of one head of a run, in their order; or of all heads where they choose together.
static void attend_run(
    const struct attention_run *run, int head, const struct team *team, const float *query, const float *key,
    const float *value, float *output
) {
    const struct attention_cache *cache = run->cache;
    size_t row = (size_t)cache->model_heads * (size_t)cache->dimension, wide = row * (size_t)cache->group;
    int since = run->since_hand_over;
    for (int i = 0; i < run->columns; i++) {
        size_t column = (size_t)(run->column + i), d = (size_t)cache->dimension;
        struct unit u = {.cache = cache, .position = run->position + i, .used = run->used + i};
        if (u.used > cache->slots) u.used = cache->slots;
        u.slot = u.used;
        int64_t age = u.position - cache->origin;
        if (cache->ring_sinks >= 0 && age >= cache->slots)
            u.slot = cache->ring_sinks + (int)((age - cache->ring_sinks) % (cache->slots - cache->ring_sinks));
        u.hands_over = cache->rule == ATTENTION_WINDOW_SUM && since == cache->query_count;
        if (cache->rule == ATTENTION_WINDOW_SUM) since = since % cache->query_count + 1;
        for (int h = head < 0 ? 0 : head; h < (head < 0 ? cache->heads : head + 1); h++) {
            u.head = h;
            size_t number = (size_t)model_head(cache, h);
            u.query = query + column * wide + number * (size_t)cache->group * d;
            u.key = key + column * row + number * d;
            u.value = value + column * row + number * d;
            u.output = output + column * wide + number * (size_t)cache->group * d;
            attend(&u, team);
        }
    }
}

/// Whether a run's heads are shared out among the threads; else all threads work on each of them. That depends on the
/// run alone, so that how its sums are rounded does not depend on the rest of the batch.
INLINE int shares_heads(const struct attention_cache *cache, int32_t threads) {
    if (cache->shares_choice) return threads == 1;
    return cache->heads % threads == 0 || cache->heads >= 4 * threads;
}

static void compute(
    const struct attention_batch *batch, const float *query, const float *key, const float *value, float *output,
    int32_t thread, int32_t threads
) {
    float *own = batch->workspace + (size_t)thread * batch->workspace_stride;
    struct team alone = {.rank = 0, .size = 1, .barrier = batch->barrier, .shared = own, .own = own, .batch = batch};
    struct team all = {
        .rank = thread, .size = threads, .barrier = batch->barrier, .shared = batch->workspace, .own = own,
        .batch = batch};
    for (int32_t i = 0; i < batch->run_count; i++) {
        const struct attention_run *run = &batch->runs[i];
        int shared_out = shares_heads(run->cache, threads);
        // What a thread still does for the run before may lie in the workspace that the team is about to use.
        if (!shared_out && i > 0) wait_for_team(&all);
        if (run->cache->shares_choice) {
            attend_run(run, -1, shared_out ? &alone : &all, query, key, value, output);
            continue;
        }
        for (int h = 0; h < run->cache->heads; h++) {
            if (shared_out && h % threads != thread) continue;
            attend_run(run, h, shared_out ? &alone : &all, query, key, value, output);
        }
    }
}
