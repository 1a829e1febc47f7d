// One batch of attention, for the instructions that the including file is compiled for.
//
// Work comes in units of one KV head of one run. Where a run has enough heads, each thread has its own; else a unit has a part
// for each thread. All work on it together then, with barriers between the phases, or one does all parts, where there are
// enough units for the others too: what comes out is the same, bit for bit.
#include "attend.h"
#include "choice.h"
#include "rules/rules.h"
#include "shares.h"

/// Makes room for the token and writes it.
static void admit(const struct unit *u, const struct rows *rows, const struct workspace *w) {
    const struct attention_slots *slots = &u->step.cache->slots;
    int slot = u->slot;
    if (u->rule) {
        // A shared choice was made for the first head.
        if (!u->step.cache->score.shares_choice || u->step.head == 0)
            *w->slot = chosen_slot(&u->step, u->rule, u->used, w);
        slot = *w->slot;
    }
    CHECK(slot >= 0 && slot < slots->count);
    size_t at = head_offset(u->step.cache, u->step.head) + (size_t)slot;
    if (u->rule) {
        slots->positions[at] = (float)u->step.position;
        u->rule->forget(&u->step, slot);
    }
    if (slots->places) slots->places[at] = 0;
    attention_store_row(slots->key_type, u->key, (char *)slots->keys + at * rows->key_bytes, slots->dimension);
    attention_store_row(slots->value_type, u->value, (char *)slots->values + at * rows->value_bytes, slots->dimension);
}

/// Queries as keys in a frame that stands ahead see them: turned back by as much.
static void turn_back(const struct attention_slots *slots, const float *from, int rows, int padded, float *to) {
    int pairs = slots->turned_pairs;
    bool neighbours = slots->turns_neighbours;
    memcpy(to, from, (size_t)rows * (size_t)padded * sizeof(float));
    for (int row = 0; row < rows; row++, from += padded, to += padded) {
        for (int pair = 0; pair < pairs; pair++) {
            int i = neighbours ? 2 * pair : pair, j = neighbours ? 2 * pair + 1 : pair + pairs;
            float cosine = slots->turn[pair], sine = slots->turn[pairs + pair];
            to[i] = from[i] * cosine + from[j] * sine;
            to[j] = from[j] * cosine - from[i] * sine;
        }
    }
}

/// The token's queries, those for frozen entries and a leaving one's, times the scale, and rounded if keys are quantised.
static void scale_queries(const struct unit *u, const float *leaving, const struct workspace *w) {
    const struct attention_slots *slots = &u->step.cache->slots;
    int group = slots->group, padded = (int)w->padded, blocks = group * (slots->dimension / 32);
    size_t rows = (size_t)group * w->padded;
    const struct {
        const float *from;
        float *to, *turned;
        struct query_block *rounded;
    } parts[] = {
        {u->step.query, w->queries, w->turned_queries, w->rounded},
        {leaving, w->queries + rows, w->turned_queries + rows, w->rounded + blocks},
        {u->frozen_query, w->frozen_queries, NULL, w->rounded + 2 * blocks},
    };
    for (int i = 0; i < 3; i++) {
        if (!parts[i].from) continue;
        scale_rows(parts[i].from, group, slots->dimension, padded, u->step.cache->scale, parts[i].to);
        if (slots->places && parts[i].turned) {
            turn_back(slots, parts[i].to, group, padded, parts[i].turned);
            round_rows(slots->key_type, parts[i].turned, group, slots->dimension, padded, parts[i].rounded + 3 * blocks);
        }
        round_rows(slots->key_type, parts[i].to, group, slots->dimension, padded, parts[i].rounded);
    }
}

/// The group's reduced weight of each slot of a range: factors[g] * weights[g].
static void reduce_weights(const struct unit *u, const struct range *range, const struct workspace *w) {
    const float *weights = w->scores, *factors = w->factors;
    enum attention_reduction reduction = u->step.cache->score.group_reduction;
    for (int i = range->begin; i < range->end; i += LANES) {
        vf total = load(weights + i) * factors[0];
        for (int g = 1; g < u->step.cache->slots.group; g++) {
            vf weight = load(weights + (size_t)g * w->stride + i) * factors[g];
            total = reduction == ATTENTION_MAX ? larger(total, weight) : total + weight;
        }
        store_part(total, w->reduced + i, range->end - i);
    }
}

/// Brings the rule's scores of a range of slots up to date with this token's weights.
static void update(const struct unit *u, const struct range *range, const float *leaving, const struct workspace *w) {
    if (!u->rule || !u->rule->update || range->count == 0) return;
    reduce_weights(u, range, w);
    struct attention_weights weights = {
        .begin = range->begin, .end = range->end, .reduced = w->reduced, .stride = w->stride, .room = w->room,
        .leaving = leaving ? w->scores + (size_t)u->step.cache->slots.group * w->stride : NULL,
    };
    u->rule->update(&u->step, &weights);
}

static void remember(const struct unit *u, const struct workspace *w) {
    if (!u->rule || !u->rule->remember) return;
    for (int g = 0; g < u->step.cache->slots.group; g++) w->normalizers[g] = w->highest[g] - logf(w->factors[g]);
    u->rule->remember(&u->step, w->normalizers);
}

/// One thread's part of one unit.
static void attend(const struct unit *u, const struct team *team) {
    const struct attention_slots *slots = &u->step.cache->slots;
    struct rows rows = rows_of(u);
    size_t stride = workspace_stride((size_t)rows.slots, (size_t)rows.frozen);
    struct workspace w = workspace_at(team->shared, slots->dimension, slots->group, stride);
    struct workspace own = workspace_at(team->own, slots->dimension, slots->group, stride);
    CHECK(w.floats <= team->batch->workspace_stride);
    const float *leaving = u->rule && u->rule->leaving ? u->rule->leaving(&u->step) : NULL;
    if (team->rank == 0) {
        if (u->step.cache->reader == 0) admit(u, &rows, &w);
        scale_queries(u, leaving, &w);
    }
    wait_for_team(team);
    struct range range = range_of(team, &rows);
    DEBUG_CHECK(range.frozen_at + (size_t)range.frozen <= stride && (size_t)range.end <= stride);
    score_range(u, &rows, &range, slots->group * (leaving ? 2 : 1), &w);
    if (u->rule && u->rule->observe && range.count > 0)
        u->rule->observe(&u->step, w.scores, w.stride, range.begin, range.end);
    mask_range(u, &rows, &range, &w, own.peaks);
    wait_for_team(team);
    combine_peaks(u, team, &w, own.highest);
    weigh_range(u, &rows, &range, &w, &own);
    wait_for_team(team);
    if (team->rank == 0) merge(u, team, &w);
    wait_for_team(team);
    update(u, &range, leaving, &w);
    // Others may still read what the rule remembers of the query that is overwritten.
    wait_for_team(team);
    if (team->rank == 0) remember(u, &w);
}

/// All parts of one unit by one thread.
static void attend_alone(const struct unit *u, const struct team *team) {
    const struct attention_slots *slots = &u->step.cache->slots;
    const int group = slots->group;
    struct rows rows = rows_of(u);
    struct workspace w = workspace_at(
        team->own, slots->dimension, group, workspace_stride((size_t)rows.slots, (size_t)rows.frozen));
    CHECK(w.floats <= team->batch->workspace_stride);
    const float *leaving = u->rule && u->rule->leaving ? u->rule->leaving(&u->step) : NULL;
    if (u->step.cache->reader == 0) admit(u, &rows, &w);
    scale_queries(u, leaving, &w);
    struct team part = *team;
    for (part.rank = 0; part.rank < part.size; part.rank++) {
        struct range range = range_of(&part, &rows);
        score_range(u, &rows, &range, group * (leaving ? 2 : 1), &w);
        if (u->rule && u->rule->observe && range.count > 0)
            u->rule->observe(&u->step, w.scores, w.stride, range.begin, range.end);
        mask_range(u, &rows, &range, &w, w.peaks);
        take_peaks(u, part.rank == 0, &w);
    }
    for (part.rank = 0; part.rank < part.size; part.rank++) {
        struct range range = range_of(&part, &rows);
        weigh_range(u, &rows, &range, &w, &w);
        take_sums(u, part.rank == 0, &w);
    }
    finish_sums(u, &w);
    for (part.rank = 0; part.rank < part.size; part.rank++) {
        struct range range = range_of(&part, &rows);
        update(u, &range, leaving, &w);
    }
    remember(u, &w);
}

/// The unit of one token of one KV head.
static void describe_head(struct unit *u, const struct attention_vectors *v, size_t column, int head) {
    const struct attention_slots *slots = &u->step.cache->slots;
    size_t d = (size_t)slots->dimension, group = (size_t)slots->group;
    size_t at = column * (size_t)slots->model_heads + (size_t)model_head(u->step.cache, head);
    u->step.head = head;
    u->step.positions = slots->positions ? slots->positions + head_offset(u->step.cache, head) : NULL;
    u->step.query = v->query + at * group * d;
    u->frozen_query = v->frozen_query ? v->frozen_query + at * group * d : NULL;
    u->step.features = v->features ? v->features + at * (size_t)v->feature_width : NULL;
    u->step.feature_width = v->features ? v->feature_width : 0;
    u->key = v->key ? v->key + at * d : NULL;
    u->value = v->value ? v->value + at * d : NULL;
    u->sinks = v->sinks ? v->sinks + (size_t)model_head(u->step.cache, head) * group : NULL;
    u->output = v->output + at * group * d;
}

/// The slot of a token whose position alone decides.
static int positional_slot(const struct attention_slots *slots, int64_t position, int used) {
    int64_t age = position - slots->origin;
    if (slots->ring_sinks < 0 || age < slots->count) return used;
    CHECK(slots->ring_sinks < slots->count);
    return slots->ring_sinks + (int)((age - slots->ring_sinks) % (slots->count - slots->ring_sinks));
}

/// Whether a run makes sense; what is wrong here would be written to memory that is not the cache's.
static void check_run(
    const struct attention_run *run, const struct attention_rule_table *rule, const struct attention_vectors *vectors
) {
    const struct attention_slots *slots = &run->cache->slots;
    CHECK(slots->dimension > 0 && slots->group > 0 && run->used >= 0);
    CHECK(run->cache->reader >= 0 && (run->cache->reader > 0 ? run->columns == 1 : vectors->key && vectors->value));
    CHECK(run->pin_count == 0 || run->pins);
    CHECK(!slots->places || (slots->turn && 2 * slots->turned_pairs <= slots->dimension));
    CHECK(stored_whole(slots->key_type, slots->dimension) && stored_whole(slots->value_type, slots->dimension));
    if (!rule) return;
    CHECK(slots->positions && rule->choose && rule->forget);
    CHECK(run->cache->reader > 0 || rule->feature_width <= (vectors->features ? vectors->feature_width : 0));
}

/// All tokens of one head of a run, in their order; or of all heads where they choose together.
static void attend_run(
    const struct attention_run *run, int head, const struct team *team, const struct attention_vectors *vectors
) {
    const struct attention_cache *cache = run->cache;
    const struct attention_rule_table *rule = rule_of(&cache->score);
    check_run(run, rule, vectors);
    int first = head < 0 ? 0 : head, end = head < 0 ? cache->slots.heads : head + 1;
    int32_t phase = run->phase;
    for (int i = 0; i < run->columns; i++) {
        struct unit u = {.rule = rule, .step = {
            .cache = cache, .position = run->position + i, .phase = phase, .prompt_end = run->prompt_end,
            .pins = run->pins, .pin_count = run->pin_count}};
        u.used = run->used + i < cache->slots.count ? run->used + i : cache->slots.count;
        u.slot = rule || cache->slots.positions ? -1 : positional_slot(&cache->slots, u.step.position, u.used);
        if (rule && rule->advance) phase = rule->advance(cache, phase);
        for (int h = first; h < end; h++) {
            describe_head(&u, vectors, (size_t)(run->column + i), h);
            (team->alone ? attend_alone : attend)(&u, team);
        }
    }
}

/// Whether a run's heads are shared out among the threads; else each has a part for every thread. That depends on the
/// run alone, so that how its sums are rounded does not depend on the rest of the batch.
INLINE bool shares_heads(const struct attention_cache *cache, int32_t threads) {
    if (cache->score.shares_choice) return threads == 1;
    return cache->slots.heads % threads == 0 || cache->slots.heads >= 4 * threads;
}

static void compute(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    float *own = batch->workspace + (size_t)thread * batch->workspace_stride;
    struct team all = {
        .rank = thread, .size = threads, .barrier = batch->barrier, .shared = batch->workspace, .own = own,
        .batch = batch};
    struct team alone = {.size = 1, .alone = true, .own = own, .batch = batch}, parts = alone;
    parts.size = threads;
    struct shares shares = {.threads = threads};
    for (int32_t i = 0; i < batch->run_count; i++)
        if (!shares_heads(batch->runs[i].cache, threads)) share_rest(&shares, &batch->runs[i]);
    const bool even = are_even(&shares);
    shares = (struct shares){.threads = threads};
    for (int32_t i = 0; i < batch->run_count; i++) {
        const struct attention_run *run = &batch->runs[i];
        if (shares_heads(run->cache, threads)) {
            if (run->cache->score.shares_choice) attend_run(run, -1, &alone, vectors);
            else for (int h = thread; h < run->cache->slots.heads; h += threads) attend_run(run, h, &alone, vectors);
            continue;
        }
        // As many units as there are threads are even shares; then come those that are left.
        const int units = units_of(run), whole = units / threads * threads;
        for (int h = thread; h < whole; h += threads) attend_run(run, h, &parts, vectors);
        for (int h = whole; h < units; h++) {
            const int head = run->cache->score.shares_choice ? -1 : h;
            if (even) {
                if (take_share(&shares, entries_of(run)) == thread) attend_run(run, head, &parts, vectors);
                continue;
            }
            // What a thread still does for a unit before may lie in the workspace that the team is about to use.
            wait_for_team(&all);
            attend_run(run, head, &all, vectors);
        }
    }
}
