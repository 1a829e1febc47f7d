/// Attention over the slots of KV caches, one generated token at a time, on the CPU.
///
/// For every KV head one pass does what a token needs: it picks the slot that the token takes, writes its key and
/// value, reads each key row once for all query heads of the group, takes the softmax, reads each value row once, and
/// updates the scores that the next choice is made by. How scores come about is a rule's: one of those built in, or a
/// caller's own.
///
/// Nothing here allocates, locks or fails; the caller owns all memory. Sizes that do not fit together end the process.
#pragma once

#include "AttentionRules.h"
#include "AttentionTypes.h"
#include "KeyTurns.h"
#include "Products.h"
#include "PromptAttention.h"
#include "Recurrence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What decides which slot a token takes.
enum attention_rule {
    /// Its position alone; nothing is scored.
    ATTENTION_POSITIONAL = 0,
    /// The lowest sum of the weights that the last `query_count` queries gave.
    ATTENTION_WINDOW_SUM = 1,
    /// The lowest score, which each token multiplies by `decay` and adds its weight to.
    ATTENTION_CUMULATIVE = 2,
    /// The lowest score, made of what the last `query_count` queries gave, remembered one by one.
    ATTENTION_PROFILE = 3,
    /// The caller's functions.
    ATTENTION_CUSTOM = 4,
    /// The lowest score, which each entry brings for several ages; what it received counts too.
    ATTENTION_FORESIGHT = 5,
    /// The key that is most like the mean of all keys' directions goes.
    ATTENTION_KEYDIFF = 6,
    /// The lowest score, which an entry gets when it is written and then keeps.
    ATTENTION_FIXED = 7,
};

/// The rows that tokens are written to, in one layer of one sequence.
struct attention_slots {
    enum attention_type key_type, value_type;
    int32_t dimension;   ///< numbers per row
    int32_t group;       ///< query heads per KV head
    int32_t heads;       ///< KV heads of the cache
    int32_t model_heads; ///< KV heads of the model
    /// Which of the model's KV heads the cache is for, ascending; NULL if it is for all of them.
    const int32_t *head_numbers;
    int32_t count;    ///< slots per KV head
    void *keys;       ///< `[heads][count]` rows
    void *values;     ///< `[heads][count]` rows
    float *positions; ///< `[heads][count]`, -1 where empty; NULL under ATTENTION_POSITIONAL
    /// `[heads][count]`: which entries stand in a frame of their own: 0 for keys that are rotated as queries are, more for
    /// those that are not, which queries are turned for. NULL if there are none.
    float *places;
    const float *turn;    ///< with `places`: how far the frame stands ahead, `[2][turned_pairs]` cosines, then sines
    int32_t turned_pairs; ///< pairs of numbers that positions rotate
    bool turns_neighbours; ///< whether pairs are neighbours (2i, 2i + 1); else halves (i, i + turned_pairs)
    bool has_gaps;    ///< whether empty slots may lie between filled ones
    int64_t origin;   ///< the first position that goes to the slots; those before it are frozen entries or gone
    /// Under ATTENTION_POSITIONAL the slots form a ring: the first `ring_sinks` stay, then token p takes slot
    /// ring_sinks + (p - ring_sinks) % (count - ring_sinks), p counted from the origin. Negative: each token takes the
    /// first slot that is not filled.
    int32_t ring_sinks;
};

/// Entries that never change and are seen besides the slots: the model's head h has the rows starts[h] to starts[h +
/// 1]. All NULL if there are none.
struct attention_frozen {
    const void *keys, *values;
    const float *positions;
    const int64_t *starts; ///< `[model_heads + 1]`
};

/// How the slot that a token takes is chosen among those that are filled.
struct attention_score {
    enum attention_rule rule;
    int32_t window; ///< positions before the current one that are never evicted
    int32_t sinks;  ///< first positions that are never evicted
    enum attention_reduction group_reduction; ///< how the weights of a group's query heads become one
    bool shares_choice; ///< whether all heads choose the same slot, by the sum of their scores
    /// Entries of the prompt that a head is sure to keep: none is evicted while it holds no more of them.
    int32_t prompt_floor;
    /// The rule's own.
    union {
        struct attention_window_sum window_sum;
        struct attention_cumulative cumulative;
        struct attention_profile profile;
        struct attention_foresight foresight;
        struct attention_keydiff keydiff;
        struct attention_fixed fixed;
        struct attention_custom custom;
    };
};

/// The cache of one layer of one sequence.
struct attention_cache {
    struct attention_slots slots;
    struct attention_frozen frozen;
    struct attention_score score;
    float scale;            ///< of scores before the softmax
    int32_t sliding_window; ///< how far back the cache's heads see, the token itself included; 0 if everything
    int32_t visible_sinks;  ///< first positions that are seen even behind the sliding window
    /// 0 for the layer whose keys and values these are. Else the number of a block that attends to them after it, for the
    /// same token: nothing is chosen or written then, and its weights are added to what the rule makes of the layer's.
    int32_t reader;
};

/// Successive positions, `first` included, `end` not.
struct attention_range {
    int64_t first, end;
};

/// One token at one KV head, as rules see it.
struct attention_step {
    const struct attention_cache *cache;
    int32_t head;           ///< of the cache
    int64_t position;       ///< the token's
    int32_t phase;          ///< see `attention_run`
    int64_t prompt_end;     ///< see `attention_run`
    /// While a slot is chosen, positions before it are not evicted: the sinks, and the prompt where its floor says so.
    int64_t kept_before;
    const struct attention_range *pins; ///< see `attention_run`; while a slot is chosen, those behind `kept_before`
    int32_t pin_count;
    const float *positions; ///< `[count]`: of the head's slots
    const float *query;     ///< `[group][dimension]`, not scaled
    const float *features;  ///< `[feature_width]`; NULL if there are none
    int32_t feature_width;
};

/// What one thread knows of a token's attention: a range of slots. Arrays are as long as all slots; only the range is
/// valid.
struct attention_weights {
    int32_t begin, end;   ///< the range
    const float *reduced; ///< each slot's weight, reduced over the group
    /// `[group][stride]`: the scaled scores, before the softmax, of the queries that `leaving` returned; NULL if none.
    const float *leaving;
    size_t stride;
    float *room; ///< a float per slot to work in
};

/// What a rule does. Functions that are NULL are not called.
///
/// Each token calls, for each head: `choose` (if no slot is empty), `forget`, `leaving`, `observe`, `update`,
/// `remember`. `observe` and `update` may be called by several threads at a time, for ranges that do not overlap; the
/// others are called by one thread while no other looks at the head, but for `leaving` and `advance`, which every
/// thread calls.
struct attention_rule_table {
    /// Features that the rule reads per token and head, at least; 0 for none.
    int32_t feature_width;

    /// Writes each slot's score; the kernel takes the lowest that is not protected. Required. Where heads share their
    /// choice, the step has neither query nor features.
    ///
    /// - scores: `[count]`
    /// - room: `[2][count]` to work in
    void (*choose)(const struct attention_step *step, float *scores, float *room);

    /// The token takes this slot: nothing that is known of the entry before counts for it. Rules that score an entry
    /// once do it here. Required.
    void (*forget)(const struct attention_step *step, int32_t slot);

    /// An older query whose scores are wanted too, `[group][dimension]`, not scaled; NULL if none. Every thread must
    /// get the same answer.
    const float *(*leaving)(const struct attention_step *step);

    /// The scaled scores of a range of slots before the softmax and before anything is masked: `[group][stride]`.
    void (*observe)(
        const struct attention_step *step, const float *scores, size_t stride, int32_t begin, int32_t end);

    /// Brings the scores of a range of slots up to date. NULL: the rule needs no weights, and none are reduced for it.
    void (*update)(const struct attention_step *step, const struct attention_weights *weights);

    /// The last call of a token.
    ///
    /// - normalizers: `[group]`, the logarithms of the softmax denominators
    void (*remember)(const struct attention_step *step, const float *normalizers);

    /// The phase after a token. NULL: it stays.
    int32_t (*advance)(const struct attention_cache *cache, int32_t phase);
};

/// Successive tokens of one sequence.
struct attention_run {
    const struct attention_cache *cache;
    int32_t column;   ///< of the first token in the batch
    int32_t columns;  ///< tokens; each sees those before it
    int32_t used;     ///< filled slots before the first token
    int64_t position; ///< of the first token
    int32_t phase;    ///< a number of the rule's own before the first token; 0 for rules that have none
    int64_t prompt_end; ///< positions before it are the prompt's
    /// Positions that are never evicted: ascending, apart from each other; NULL if there are none. Together with the
    /// window and the sinks they leave at least one slot.
    const struct attention_range *pins;
    int32_t pin_count;
};

/// A barrier of the threads that compute one batch. Starts as zeros.
struct attention_barrier {
    int32_t arrived;
    int32_t unused[31]; ///< keeps the two out of each other's cache line
    int32_t phase;
};

/// One layer's attention for all tokens of a batch.
struct attention_batch {
    const struct attention_run *runs;
    int32_t run_count;
    float *workspace;        ///< `threads` parts of `workspace_stride` floats, aligned to 64 bytes
    size_t workspace_stride; ///< at least attention_workspace(...) of every run's cache
    struct attention_barrier *barrier;
    enum attention_level level;
};

/// What the tokens of a batch bring, and where the result goes; `heads` are the model's.
struct attention_vectors {
    const float *query;      ///< `[columns][heads * group][dimension]`
    const float *frozen_query; ///< likewise, for frozen entries; NULL if they see the same queries as the slots
    const float *key;        ///< `[columns][heads][dimension]`; NULL where blocks only read
    const float *value;      ///< likewise
    const float *features;   ///< `[columns][heads][feature_width]`: what rules read besides; NULL if there are none
    int32_t feature_width;
    const float *sinks;      ///< `[heads * group]`: a term of each softmax that no entry gets; NULL if there are none
    float *output;           ///< like query
};

/// The best level this machine has.
enum attention_level attention_best_level(void);

/// Whether this machine can run a level.
bool attention_can_run(enum attention_level level);

/// Bytes of one row.
size_t attention_row_bytes(enum attention_type type, int32_t dimension);

/// Floats that hold a row's numbers for vectors: `dimension`, rounded up.
int32_t attention_padded(int32_t dimension);

/// A number from 0 to 1, 1 excluded, that depends on nothing but these.
float attention_random(uint32_t seed, int32_t head, int64_t position);

/// Floats of workspace that one thread needs for caches with that many visible entries.
///
/// - visible: slots and frozen entries of one head together, the most of any head.
size_t attention_workspace(int32_t dimension, int32_t group, int64_t visible);

/// Executes one thread's share of a batch; all `threads` threads call it at the same time.
void attention_compute(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads);

/// Puts `count` numbers into a row.
void attention_store_row(enum attention_type type, const float *from, void *to, int32_t count);

/// Reads `count` numbers and adds them up: how fast that goes is the machine's read bandwidth.
uint64_t attention_read(const uint64_t *memory, size_t count);
