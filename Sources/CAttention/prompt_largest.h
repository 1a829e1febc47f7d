// The largest weights that a prompt's queries give to rows of a chunk, for the instructions that the including file is
// compiled for: what prompt.h does, with the products kept until the totals are known.
#pragma once

#include "prompt.h"

/// A block of rows that every token sees, its products where `scores` points to.
static void see(const struct tile *t, struct attention_rows rows, int base, float *scores, size_t stride) {
    int left = rows.end - base;
    struct part part = {
        .base = base, .count = left < BLOCK ? left : BLOCK, .end = t->tokens, .scores = scores, .stride = stride};
    multiply_part(t, &part);
    for (int q = 0; q < t->queries; q++)
        for (int i = part.count; i < BLOCK; i++) scores[(size_t)q * stride + (size_t)i] = -INFINITY;
    soften(t, &part, false);
}

/// Raises the logarithms of the largest weights, `[chunk]`, to those that a tile gives.
static void raise_tile(const struct tile *t, float *largest) {
    struct attention_rows chunk = t->prompt->chunk, front = t->prompt->front;
    size_t stride = t->memory.kept_stride;
    for (int base = chunk.begin; base < chunk.end; base += BLOCK)
        see(t, chunk, base, t->memory.kept + (base - chunk.begin), stride);
    for (int base = front.begin; base < front.end; base += BLOCK) see(t, front, base, t->memory.scores, BLOCK);
    int end = sight_of(t, t->tokens - 1).end;
    for (int base = sight_of(t, 0).begin; base < end; base += BLOCK) {
        struct part part = multiply_keys(t, base);
        soften(t, &part, false);
    }
    int count = chunk.end - chunk.begin;
    for (int q = 0; q < t->queries; q++) {
        float total = t->memory.peaks[q] + logf(t->memory.totals[q]);
        const float *products = t->memory.kept + (size_t)q * stride;
        for (int i = 0; i < count; i += LANES) {
            vf weight = load(products + i) - total;
            store_part(larger(load_part(largest + i, count - i, 0), weight), largest + i, count - i);
        }
    }
}

static void raise_prompt(const struct attention_prompt *p, float *largest, int32_t thread, int32_t threads) {
    float *workspace = p->workspace + (size_t)thread * p->workspace_stride;
    size_t count = (size_t)(p->chunk.end - p->chunk.begin);
    for (int head = thread; head < p->heads; head += threads) {
        float *row = largest + (size_t)head * count;
        for (size_t i = 0; i < count; i++) row[i] = -INFINITY;
        for (int token = 0; token < p->queries; token += tile_tokens(p->group)) {
            struct tile t = tile_at(p, head, token, workspace);
            raise_tile(&t, row);
        }
        for (size_t i = 0; i < count; i++) row[i] = expf(row[i]);
    }
}
