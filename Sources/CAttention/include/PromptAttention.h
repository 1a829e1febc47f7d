/// Attention of many queries at a time, for prompts: tiles of queries over blocks of rows, with the softmax taken as the
/// blocks come (Milakov and Gimelshein, arXiv 1805.02867; FlashAttention, arXiv 2205.14135). On the CPU, in 32-bit floats
/// whatever the rows' types are.
#pragma once

#include "AttentionTypes.h"

#include <stddef.h>
#include <stdint.h>

/// Rows of every KV head, `end` not included.
struct attention_rows {
    int32_t begin, end;
};

/// Queries of consecutive tokens, each of which sees a row more than the one before: its own.
struct attention_prompt {
    enum attention_type key_type, value_type;
    int32_t dimension;      ///< numbers per row
    int32_t heads;          ///< KV heads
    int32_t group;          ///< query heads per KV head
    int32_t queries;        ///< tokens
    int32_t rows;           ///< rows per KV head
    int32_t seen;           ///< rows that the first token sees, its own included
    float scale;            ///< what products are multiplied by
    const void *keys;       ///< row after row; a head's rows begin `key_stride` bytes after those of the one before
    const void *values;     ///< likewise; not read by ``attention_prompt_received``
    size_t key_stride, value_stride;
    const float *query;     ///< `[queries][query_stride]`: `heads * group` vectors each
    size_t query_stride;    ///< in floats
    const float *sinks;     ///< `[heads * group]`: a term of each softmax that no row gets; NULL if there are none
    const int32_t *first;   ///< `[first_heads][queries]`: the first row that a token sees, never falling; NULL: row 0
    int32_t first_heads;    ///< the number of KV heads, or 1 where all see the same
    enum attention_reduction reduction; ///< of what a group's query heads give; for ``attention_prompt_received``
    const float *factors;   ///< `[queries]`: what a query's weights are multiplied by; likewise
    /// `[queries][heads * group]`: logarithms of the softmax denominators. ``attention_prompt_attend`` writes them unless
    /// `largest` is there; ``attention_prompt_received`` reads them. NULL: they are not noted, and found anew.
    float *normalizers;
    /// `[threads][heads][rows of chunk]`: where each thread notes logarithms of the largest weights that rows get; raised, so
    /// the caller begins with minus infinity. NULL: no weights are wanted, and nothing of what follows is looked at.
    float *largest;
    /// Whose weights are wanted, and what their softmax is taken over besides: rows in front of the chunk, and those from `own`
    /// on, where the queries' own text begins. Tokens see everything up to themselves; there is no `first`.
    struct attention_rows chunk, front;
    int32_t own;
    enum attention_level level;
    float *workspace;       ///< `workspace_stride` floats for each thread, aligned to 64 bytes
    size_t workspace_stride;
};

/// Floats that each thread needs.
///
/// - chunk: the rows of `chunk`; 0 where no weights are wanted.
size_t attention_prompt_workspace(int32_t dimension, int32_t group, int32_t chunk);

/// Writes the attended values, `[queries][heads * group * dimension]`, and raises `largest` if it is there: what KVzip scores
/// entries by (arXiv 2505.23416). To be called by all threads.
void attention_prompt_attend(const struct attention_prompt *prompt, float *output, int32_t thread, int32_t threads);

/// Writes what each row received, `[heads][rows]`: the sum over queries of factor times weight, reduced over the group. To be
/// called by all threads.
void attention_prompt_received(const struct attention_prompt *prompt, float *sums, int32_t thread, int32_t threads);

/// Raises `largest` only. To be called by all threads.
void attention_prompt_largest(const struct attention_prompt *prompt, int32_t thread, int32_t threads);
