/// Attention over the slots of KV caches, one generated token at a time, on the CPU.
///
/// For every KV head one pass does what a token needs: it picks the slot that the token takes, writes its key and value,
/// reads each key row once for all query heads of the group (and for the query that leaves the window of voters), takes
/// the softmax, reads each value row once, and updates the scores that the next choice is made by.
///
/// Nothing here allocates, locks or fails; the caller owns all memory and has checked all sizes.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// How the numbers of a key or value row are stored.
enum attention_type {
    ATTENTION_F32 = 0,
    ATTENTION_F16 = 1,
    ATTENTION_BF16 = 2,
    /// Blocks of 32: an f16 scale and 32 signed bytes, as ggml stores them.
    ATTENTION_Q8_0 = 3,
};

/// What decides which slot a token takes.
enum attention_rule {
    /// The caller's `slot`.
    ATTENTION_POSITIONAL = 0,
    /// The sum of the weights that the last `query_count` queries gave.
    ATTENTION_WINDOW_SUM = 1,
    /// decay * score + weights.
    ATTENTION_CUMULATIVE = 2,
    /// The votes of the last `query_count` queries, one by one.
    ATTENTION_PROFILE = 3,
};

/// The slots of one layer of one sequence, and how victims are chosen among them.
struct attention_cache {
    enum attention_type key_type, value_type;
    int32_t dimension; ///< numbers per row
    int32_t group;     ///< query heads per KV head
    int32_t heads;     ///< KV heads of the cache
    int32_t model_heads; ///< KV heads of the model
    /// Which of the model's KV heads the cache is for, ascending; NULL if it is for all of them.
    const int32_t *head_numbers;
    int32_t slots;     ///< per KV head
    void *keys;        ///< `[heads][slots]` rows
    void *values;      ///< `[heads][slots]` rows
    float *positions;  ///< `[heads][slots]`, -1 where empty; NULL under ATTENTION_POSITIONAL

    /// Entries that never change and are seen besides the slots: the model's head h has the rows frozen_starts[h] to
    /// frozen_starts[h + 1]. NULL if there are none.
    const void *frozen_keys, *frozen_values;
    const float *frozen_positions;
    const int64_t *frozen_starts; ///< `[model_heads + 1]`
    int64_t origin; ///< the first position that goes to the slots; those before it are frozen entries or gone

    float scale;             ///< of scores before the softmax
    int32_t sliding_window;  ///< how far back the cache's heads see, the token itself included; 0 if everything
    int32_t visible_sinks;   ///< first positions that are seen even behind the sliding window
    enum attention_rule rule;
    int32_t window;          ///< positions before the current one that are never evicted
    int32_t sinks;           ///< first positions that are never evicted
    int32_t group_max;       ///< whether a group's weight is the largest of its query heads, not their sum
    int32_t shares_choice;   ///< whether all heads choose the same slot, by the sum of their scores
    int32_t has_gaps;        ///< whether empty slots may lie between filled ones
    /// Under ATTENTION_POSITIONAL the slots form a ring: the first `ring_sinks` stay, then token p takes slot
    /// ring_sinks + (p - ring_sinks) % (slots - ring_sinks), p counted from the origin. Negative: each token takes
    /// slot `used`.
    int32_t ring_sinks;

    int32_t query_count;     ///< rows of the ring of queries or votes
    float decay;
    float *fresh;            ///< `[heads][slots]`; the score itself under ATTENTION_CUMULATIVE
    float *expiring;         ///< `[heads][slots]`
    float *queries;          ///< `[query_count][heads][group][dimension]`, not scaled
    float *normalizers;      ///< `[query_count][heads][group]`
    float *votes;            ///< `[query_count][heads][voters][slots]`
    int32_t voters;          ///< votes per KV head and query
    int32_t fusion_max;      ///< whether votes are fused by their maximum, not their sum
    int32_t candidates_only; ///< whether each vote is a score that is normalised over the evictable slots
};

/// Successive tokens of one sequence.
struct attention_run {
    const struct attention_cache *cache;
    int32_t column;        ///< of the first token in the batch
    int32_t columns;       ///< tokens; each sees those before it
    int32_t used;          ///< filled slots before the first token
    int64_t position;      ///< of the first token
    /// Queries since `fresh` was last handed over to `expiring`, before the first token.
    int32_t since_hand_over;
};

/// A barrier of the threads that compute one batch. Starts as zeros.
struct attention_barrier {
    int32_t arrived;
    int32_t unused[31]; ///< keeps the two out of each other's cache line
    int32_t phase;
};

/// Which instructions are used.
enum attention_level {
    ATTENTION_PLAIN = 0, ///< what every machine of the architecture has
    ATTENTION_AVX2 = 1,  ///< AVX2, FMA and F16C
    ATTENTION_AVX512 = 2,
};

/// One layer's attention for all tokens of a batch.
struct attention_batch {
    const struct attention_run *runs;
    int32_t run_count;
    float *workspace;         ///< `threads` parts of `workspace_stride` floats, aligned to 64 bytes
    size_t workspace_stride;  ///< at least attention_workspace(...) of every run's cache
    struct attention_barrier *barrier;
    enum attention_level level;
};

/// The best level this machine has.
enum attention_level attention_best_level(void);

/// Bytes of one row.
size_t attention_row_bytes(enum attention_type type, int32_t dimension);

/// Floats of workspace that one thread needs for caches with that many visible entries.
///
/// - visible: slots and frozen entries of one head together, the most of any head.
size_t attention_workspace(int32_t dimension, int32_t group, int64_t visible);

/// Executes one thread's share of a batch; all `threads` threads call it at the same time.
///
/// - query: `[columns][heads * group][dimension]`
/// - key, value: `[columns][heads][dimension]`
/// - output: like query
void attention_compute(
    const struct attention_batch *batch, const float *query, const float *key, const float *value, float *output,
    int32_t thread, int32_t threads);

/// Puts `count` numbers into a row.
void attention_store_row(enum attention_type type, const float *from, void *to, int32_t count);

/// Reads `count` numbers and adds them up: how fast that goes is the machine's read bandwidth.
uint64_t attention_read(const uint64_t *memory, size_t count);
