// Attention of a prompt's queries, for the instructions that the including file is compiled for.
//
// Work comes in units: a tile of consecutive tokens, all query heads of one KV head. A tile goes through the rows that it sees
// block by block; a row of its scores is rescaled where a block brings a larger product.
#pragma once

#include "check.h"
#include "include/PromptAttention.h"
#include "tile.h"
#include "tiles.h"

struct tile {
    const struct attention_prompt *prompt;
    int head, token, tokens; ///< KV head; first token and number of them
    int queries;             ///< tokens times query heads
    struct tile_memory memory;
};

static struct tile tile_at(const struct attention_prompt *p, int head, int token, float *workspace) {
    int most = tile_tokens(p->group), left = p->queries - token;
    struct tile t = {.prompt = p, .head = head, .token = token, .tokens = left < most ? left : most};
    t.queries = t.tokens * p->group;
    t.memory = tile_memory_at(workspace, p->dimension, p->group, p->largest ? p->chunk.end - p->chunk.begin : 0);
    CHECK(t.memory.floats <= p->workspace_stride);
    size_t numbers = (size_t)p->group * (size_t)p->dimension;
    for (int i = 0; i < t.tokens; i++) {
        const float *from = p->query + (size_t)(token + i) * p->query_stride + (size_t)head * numbers;
        float *to = t.memory.queries + (size_t)i * numbers;
        for (size_t n = 0; n < numbers; n++) to[n] = from[n] * p->scale;
    }
    for (int q = 0; q < t.queries; q++) {
        // A sink is as if a row had been seen before all others whose value is nothing.
        t.memory.peaks[q] = p->sinks ? p->sinks[head * p->group + q % p->group] : -INFINITY;
        t.memory.totals[q] = p->sinks ? 1 : 0;
    }
    return t;
}

/// The rows that a token of the tile sees.
struct sight {
    int begin, end;
};

static struct sight sight_of(const struct tile *t, int token) {
    const struct attention_prompt *p = t->prompt;
    struct sight s = {.begin = 0, .end = p->seen + t->token + token};
    if (p->first) {
        const int32_t *first = p->first + (p->first_heads > 1 ? (size_t)t->head * (size_t)p->queries : 0);
        s.begin = first[t->token + token];
    }
    CHECK(s.begin >= 0 && s.begin < s.end);
    return s;
}

/// The tokens of a tile that see something of the rows from `base` on, and their products with these.
struct part {
    int base, count; ///< rows
    int begin, end;  ///< tokens
    float *scores;   ///< of the tile's first query; those of the next are `stride` floats behind
    size_t stride;
};

/// Minus infinity where a token does not see.
static void mask(const struct tile *t, const struct part *part) {
    int group = t->prompt->group;
    for (int token = part->begin; token < part->end; token++) {
        struct sight s = sight_of(t, token);
        int begin = s.begin - part->base, end = s.end - part->base;
        if (begin <= 0 && end >= BLOCK) continue;
        for (int q = token * group; q < (token + 1) * group; q++) {
            float *scores = part->scores + (size_t)q * part->stride;
            for (int i = 0; i < begin && i < BLOCK; i++) scores[i] = -INFINITY;
            for (int i = end < 0 ? 0 : end; i < BLOCK; i++) scores[i] = -INFINITY;
        }
    }
}

static void multiply_part(const struct tile *t, const struct part *part) {
    const struct attention_prompt *p = t->prompt;
    size_t bytes = stored_bytes(p->key_type, p->dimension);
    const char *keys = (const char *)p->keys + (size_t)t->head * p->key_stride + (size_t)part->base * bytes;
    transpose_rows(p->key_type, keys, part->count, p->dimension, t->memory.keys, BLOCK);
    size_t first = (size_t)part->begin * (size_t)p->group, d = (size_t)p->dimension;
    struct product product = {
        .a = t->memory.queries + first * d, .a_stride = d, .b = t->memory.keys, .b_stride = BLOCK,
        .c = part->scores + first * part->stride, .c_stride = part->stride, .depth = p->dimension};
    multiply(&product, (part->end - part->begin) * p->group, BLOCK, false);
}

static struct part multiply_keys(const struct tile *t, int base) {
    int last = sight_of(t, t->tokens - 1).end;
    struct part part = {
        .base = base, .count = last - base < BLOCK ? last - base : BLOCK, .end = t->tokens, .scores = t->memory.scores, .stride = BLOCK};
    while (sight_of(t, part.begin).end <= base) part.begin++;
    while (part.end > part.begin && sight_of(t, part.end - 1).begin >= base + BLOCK) part.end--;
    multiply_part(t, &part);
    mask(t, &part);
    return part;
}

INLINE float largest(const float *scores) {
    vf most = load(scores);
    UNROLL
    for (int i = LANES; i < BLOCK; i += LANES) most = larger(most, load(scores + i));
    return max_lanes(most);
}

/// Takes a part's products into the peaks and totals. If there are sums of values, these follow the peaks, and the weights, before
/// they are divided by the totals, go to the tile's scores.
INLINE void soften(const struct tile *t, const struct part *part, const bool has_sums) {
    for (int q = part->begin * t->prompt->group; q < part->end * t->prompt->group; q++) {
        float *scores = part->scores + (size_t)q * part->stride;
        float peak = largest(scores);
        if (peak > t->memory.peaks[q]) {
            float factor = t->memory.peaks[q] > -INFINITY ? expf(t->memory.peaks[q] - peak) : 0;
            t->memory.totals[q] *= factor;
            float *sums = t->memory.sums + (size_t)q * t->memory.padded;
            for (size_t d = 0; has_sums && d < t->memory.padded; d += LANES) store(load(sums + d) * factor, sums + d);
            t->memory.peaks[q] = peak;
        }
        // A token whose window begins behind this block has no peak yet.
        float base = t->memory.peaks[q] > -INFINITY ? t->memory.peaks[q] : 0;
        vf total = splat(0);
        UNROLL
        for (int i = 0; i < BLOCK; i += LANES) {
            vf weight = exp_lanes(load(scores + i) - base);
            if (has_sums) store(weight, t->memory.scores + (size_t)q * BLOCK + i);
            total += weight;
        }
        t->memory.totals[q] += sum_lanes(total);
    }
}

static void add_values(const struct tile *t, const struct part *part) {
    const struct attention_prompt *p = t->prompt;
    size_t bytes = stored_bytes(p->value_type, p->dimension);
    const char *values = (const char *)p->values + (size_t)t->head * p->value_stride + (size_t)part->base * bytes;
    widen_rows(p->value_type, values, part->count, BLOCK, p->dimension, t->memory.values, (int)t->memory.padded);
    size_t first = (size_t)part->begin * (size_t)p->group, padded = t->memory.padded;
    struct product product = {
        .a = t->memory.scores + first * BLOCK, .a_stride = BLOCK, .b = t->memory.values, .b_stride = padded,
        .c = t->memory.sums + first * padded, .c_stride = padded, .depth = BLOCK};
    multiply(&product, (part->end - part->begin) * p->group, (int)padded, true);
}

/// Where the logarithm of a query's softmax denominator is noted.
INLINE float *normalizer_of(const struct tile *t, int q) {
    const struct attention_prompt *p = t->prompt;
    size_t token = (size_t)(t->token + q / p->group), head = (size_t)(t->head * p->group + q % p->group);
    return p->normalizers + token * (size_t)(p->heads * p->group) + head;
}

/// Writes a tile's sums, divided by the totals.
static void write_output(const struct tile *t, float *output) {
    const struct attention_prompt *p = t->prompt;
    size_t d = (size_t)p->dimension, group = (size_t)p->group;
    for (size_t q = 0; q < (size_t)t->queries; q++) {
        size_t token = (size_t)t->token + q / group, head = (size_t)t->head * group + q % group;
        float *to = output + (token * (size_t)p->heads * group + head) * d, factor = 1 / t->memory.totals[q];
        const float *sums = t->memory.sums + q * t->memory.padded;
        for (size_t i = 0; i < d; i++) to[i] = sums[i] * factor;
        if (p->normalizers && !p->largest) *normalizer_of(t, (int)q) = t->memory.peaks[q] + logf(t->memory.totals[q]);
    }
}

static void attend_tile(const struct tile *t) {
    int end = sight_of(t, t->tokens - 1).end;
    for (int base = sight_of(t, 0).begin; base < end; base += BLOCK) {
        struct part part = multiply_keys(t, base);
        soften(t, &part, true);
        add_values(t, &part);
    }
}

/// The tiles that are a thread's, one after the other.
struct units {
    const struct attention_prompt *prompt;
    int thread, threads;
    int done; ///< units so far, those of other threads included
};

/// Begins the next tile; whether there is one.
static bool next_tile(struct units *units, struct tile *t) {
    const struct attention_prompt *p = units->prompt;
    int step = tile_tokens(p->group), tiles = (p->queries + step - 1) / step;
    while (units->done % units->threads != units->thread) units->done++;
    if (units->done >= tiles * p->heads) return false;
    // The last tokens see most: their tiles come first, so that no thread ends with a long one.
    int token = (tiles - 1 - units->done / p->heads) * step;
    float *workspace = p->workspace + (size_t)units->thread * p->workspace_stride;
    *t = tile_at(p, units->done % p->heads, token, workspace);
    memset(t->memory.sums, 0, (size_t)t->queries * t->memory.padded * sizeof(float));
    units->done++;
    return true;
}

static void attend_prompt(const struct attention_prompt *p, float *output, int32_t thread, int32_t threads) {
    struct units units = {.prompt = p, .thread = thread, .threads = threads};
    for (struct tile t; next_tile(&units, &t);) {
        attend_tile(&t);
        write_output(&t, output);
    }
}

// MARK: What rows receive

/// Adds a part's weights to the sums of its rows.
static void receive(const struct tile *t, const struct part *part, float *sums) {
    const struct attention_prompt *p = t->prompt;
    sums += (size_t)t->head * (size_t)p->rows + part->base;
    for (int i = 0; i < part->count; i += LANES) {
        vf sum = load_part(sums + i, part->count - i, 0);
        for (int token = part->begin; token < part->end; token++) {
            vf reduced = splat(0);
            for (int q = token * p->group; q < (token + 1) * p->group; q++) {
                vf weight = load(t->memory.scores + (size_t)q * BLOCK + i);
                reduced = p->reduction == ATTENTION_MAX ? larger(reduced, weight) : reduced + weight;
            }
            sum += reduced * p->factors[t->token + token];
        }
        store_part(sum, sums + i, part->count - i);
    }
}

/// Makes a part's products the weights of the softmax, whose peaks and totals are known.
static void normalize(const struct tile *t, const struct part *part) {
    for (int q = part->begin * t->prompt->group; q < part->end * t->prompt->group; q++) {
        float *scores = t->memory.scores + (size_t)q * BLOCK, factor = 1 / t->memory.totals[q];
        for (int i = 0; i < BLOCK; i += LANES)
            store(exp_lanes(load(scores + i) - t->memory.peaks[q]) * factor, scores + i);
    }
}

/// The peaks and totals of all that a tile sees.
static void find_totals(const struct tile *t, int begin, int end) {
    for (int q = 0; t->prompt->normalizers && q < t->queries; q++) {
        t->memory.peaks[q] = *normalizer_of(t, q);
        t->memory.totals[q] = 1;
    }
    for (int base = begin; !t->prompt->normalizers && base < end; base += BLOCK) {
        struct part part = multiply_keys(t, base);
        soften(t, &part, false);
    }
}

static void receive_tile(const struct tile *t, float *sums) {
    int begin = sight_of(t, 0).begin, end = sight_of(t, t->tokens - 1).end;
    find_totals(t, begin, end);
    for (int base = begin; base < end; base += BLOCK) {
        struct part part = multiply_keys(t, base);
        normalize(t, &part);
        receive(t, &part, sums);
    }
}

static void receive_prompt(const struct attention_prompt *p, float *sums, int32_t thread, int32_t threads) {
    float *workspace = p->workspace + (size_t)thread * p->workspace_stride;
    for (int head = thread; head < p->heads; head += threads) {
        memset(sums + (size_t)head * (size_t)p->rows, 0, (size_t)p->rows * sizeof(float));
        for (int token = 0; token < p->queries; token += tile_tokens(p->group)) {
            struct tile t = tile_at(p, head, token, workspace);
            receive_tile(&t, sums);
        }
    }
}
