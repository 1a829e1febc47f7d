// Attention of queries that repeat a text, for the instructions that the including file is compiled for: what prompt.h does, and
// from the same products the largest weights that rows of the repeated chunk get.
//
// Rows that count for these weights are seen first. Their softmax is then complete, before it goes on over all others.
#pragma once

#include "prompt.h"

/// Takes a part into the softmax, and its values into the sums if it attends.
static void take_part(const struct tile *t, const struct part *part, bool attends) {
    if (!attends) {
        soften(t, part, false);
        return;
    }
    soften(t, part, true);
    add_values(t, part);
}

/// Rows that every token sees. The products stay in `kept`, of the tile's first query, if there is such a place.
static void see(const struct tile *t, int begin, int end, float *kept, bool attends) {
    for (int base = begin; base < end; base += BLOCK) {
        struct part part = {
            .base = base, .count = end - base < BLOCK ? end - base : BLOCK, .end = t->tokens,
            .scores = kept ? kept + (base - begin) : t->memory.scores, .stride = kept ? t->memory.kept_stride : BLOCK};
        multiply_part(t, &part);
        for (int q = 0; part.count < BLOCK && q < t->queries; q++)
            for (int i = part.count; i < BLOCK; i++) part.scores[(size_t)q * part.stride + (size_t)i] = -INFINITY;
        take_part(t, &part, attends);
    }
}

/// Raises the logarithms of the largest weights, `[chunk]`, to those that a tile gives.
static void raise_largest(const struct tile *t, float *largest) {
    int count = t->prompt->chunk.end - t->prompt->chunk.begin;
    for (int q = 0; q < t->queries; q++) {
        float total = t->memory.peaks[q] + logf(t->memory.totals[q]);
        const float *products = t->memory.kept + (size_t)q * t->memory.kept_stride;
        for (int i = 0; i < count; i += LANES) {
            vf weight = load(products + i) - total;
            store_part(larger(load_part(largest + i, count - i, 0), weight), largest + i, count - i);
        }
    }
}

static void repeat_tile(const struct tile *t, float *largest, bool attends) {
    const struct attention_prompt *p = t->prompt;
    see(t, p->chunk.begin, p->chunk.end, t->memory.kept, attends);
    see(t, p->front.begin, p->front.end, NULL, attends);
    int end = sight_of(t, t->tokens - 1).end;
    for (int base = p->own; base < end; base += BLOCK) {
        struct part part = multiply_keys(t, base);
        take_part(t, &part, attends);
    }
    raise_largest(t, largest);
    if (!attends) return;
    see(t, 0, p->front.begin, NULL, true);
    see(t, p->front.end, p->chunk.begin, NULL, true);
    see(t, p->chunk.end, p->own, NULL, true);
}

/// Raises a thread's largest weights, and attends if there is an output.
static void repeat_prompt(const struct attention_prompt *p, float *output, int32_t thread, int32_t threads) {
    size_t count = (size_t)(p->chunk.end - p->chunk.begin);
    struct units units = {.prompt = p, .thread = thread, .threads = threads};
    for (struct tile t; next_tile(&units, &t);) {
        repeat_tile(&t, p->largest + ((size_t)thread * (size_t)p->heads + (size_t)t.head) * count, output != NULL);
        if (output) write_output(&t, output);
    }
}
