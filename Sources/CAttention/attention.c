// Which kernels run, and how much memory they need.
#include "check.h"
#include "format.h"
#include "level.h"
#include "tile.h"

bool attention_can_run(enum attention_level level) {
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    switch (level) {
    case ATTENTION_VNNI: return avx512 && __builtin_cpu_supports("avx512vnni");
    case ATTENTION_AVX512: return avx512;
    case ATTENTION_AVX_VNNI: return avx2 && __builtin_cpu_supports("avxvnni");
    case ATTENTION_AVX2: return avx2;
    case ATTENTION_PLAIN: return true;
    }
#endif
    return level == ATTENTION_PLAIN;
}

enum attention_level attention_best_level(void) {
    static const enum attention_level levels[] = {ATTENTION_VNNI, ATTENTION_AVX512, ATTENTION_AVX_VNNI, ATTENTION_AVX2};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (attention_can_run(levels[i])) return levels[i];
    return ATTENTION_PLAIN;
}

/// The tables of a level; the machine can do it.
struct tables {
    const struct step_functions *steps;
    const struct attention_functions *functions;
};

static struct tables tables_of(enum attention_level level) {
    switch (level) {
#if defined(__x86_64__)
    case ATTENTION_VNNI: return (struct tables){&attention_steps_vnni, &attention_functions_avx512};
    case ATTENTION_AVX512: return (struct tables){&attention_steps_avx512, &attention_functions_avx512};
    case ATTENTION_AVX_VNNI: return (struct tables){&attention_steps_avx_vnni, &attention_functions_avx2};
    case ATTENTION_AVX2: return (struct tables){&attention_steps_avx2, &attention_functions_avx2};
#else
    case ATTENTION_VNNI:
    case ATTENTION_AVX512:
    case ATTENTION_AVX_VNNI:
    case ATTENTION_AVX2:
#endif
    case ATTENTION_PLAIN: return (struct tables){&attention_steps_plain, &attention_functions_plain};
    }
    __builtin_trap();
}

const struct step_functions *steps_of(enum attention_level level) { return tables_of(level).steps; }

const struct attention_functions *functions_of(enum attention_level level) { return tables_of(level).functions; }

void attention_compute(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    steps_of(batch->level)->compute(batch, vectors, thread, threads);
}

/// Whether a prompt makes sense; what is wrong here would be read behind the rows.
static void check_prompt(const struct attention_prompt *prompt) {
    CHECK(prompt->dimension > 0 && prompt->group > 0 && prompt->queries > 0);
    CHECK(prompt->seen > 0 && prompt->rows >= prompt->seen + prompt->queries - 1);
    CHECK(stored_whole(prompt->key_type, prompt->dimension) && stored_whole(prompt->value_type, prompt->dimension));
    CHECK(!prompt->first || prompt->first_heads == 1 || prompt->first_heads == prompt->heads);
    if (!prompt->largest) return;
    struct attention_rows chunk = prompt->chunk, front = prompt->front;
    CHECK(!prompt->first && front.begin >= 0 && front.begin <= front.end && front.end <= chunk.begin);
    CHECK(chunk.begin < chunk.end && chunk.end <= prompt->own && prompt->own <= prompt->seen);
}

void attention_prompt_attend(const struct attention_prompt *prompt, float *output, int32_t thread, int32_t threads) {
    check_prompt(prompt);
    const struct attention_functions *functions = functions_of(prompt->level);
    (prompt->largest ? functions->repeat_prompt : functions->attend_prompt)(prompt, output, thread, threads);
}

void attention_prompt_received(const struct attention_prompt *prompt, float *sums, int32_t thread, int32_t threads) {
    check_prompt(prompt);
    CHECK(!prompt->largest);
    functions_of(prompt->level)->receive_prompt(prompt, sums, thread, threads);
}

void attention_prompt_largest(const struct attention_prompt *prompt, int32_t thread, int32_t threads) {
    check_prompt(prompt);
    CHECK(prompt->largest);
    functions_of(prompt->level)->repeat_prompt(prompt, NULL, thread, threads);
}

int32_t attention_padded(int32_t dimension) { return (int32_t)padded_row(dimension); }

size_t attention_workspace(int32_t dimension, int32_t group, int64_t visible) {
    return workspace_at(NULL, dimension, group, largest_workspace_stride((size_t)visible)).floats;
}

size_t attention_prompt_workspace(int32_t dimension, int32_t group, int32_t chunk) {
    return tile_memory_at(NULL, dimension, group, chunk).floats;
}

size_t attention_turn_room(int32_t dimension, int32_t group, int32_t pairs) {
    return turn_room_at(NULL, dimension, group, pairs).floats;
}

void attention_turn_rows(
    enum attention_level level, const struct attention_rotation *rotation, enum attention_type type, int32_t dimension,
    void *rows, const struct attention_turn *turns, int32_t count, float *room
) {
    CHECK(dimension > 0 && 2 * rotation->pairs <= dimension && stored_whole(type, dimension));
    struct turn_room parts = turn_room_at(room, dimension, 1, rotation->pairs);
    functions_of(level)->turn_rows(type, rotation, dimension, rows, turns, count, parts);
}

void attention_recount(
    enum attention_level level, const struct attention_cache *caches, int32_t cache_count,
    const struct attention_turn *rows, int32_t count, int64_t seen, int32_t phase, float *room
) {
    const struct attention_slots *slots = &caches->slots;
    CHECK(caches->score.rule == ATTENTION_WINDOW_SUM && caches->score.window_sum.query_count > 0);
    CHECK(!slots->places || 2 * slots->turned_pairs <= slots->dimension);
    struct recounted all = {
        .caches = caches, .cache_count = cache_count, .rows = rows, .seen = seen, .phase = phase,
        .room = turn_room_at(room, slots->dimension, slots->group, slots->turned_pairs)};
    functions_of(level)->recount(all, count);
}
