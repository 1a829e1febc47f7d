// Recurrent blocks: short convolutions, and which instructions the delta rule is computed by.
#include "check.h"
#include "level.h"

#include <string.h>

/// The input `back` tokens before a run's token, which may be one that came before the run.
static const float *input_before(
    const struct recurrent_convolution *w, const struct recurrent_run *run, int32_t token, int32_t back
) {
    const int32_t at = token - back;
    return at < 0 ? run->inputs + (size_t)(w->taps - 1 + at) * w->channels
                  : w->input + ((size_t)run->column + at) * w->channels;
}

enum {
    MOST_TAPS = 256,
    /// Channels whose weights are turned at a time, so that neighbours lie side by side as inputs do.
    TURNED = 64
};

/// Some channels, at most TURNED, of all tokens of a run.
static void convolve_channels(
    const struct recurrent_convolution *w, const struct recurrent_run *run, int64_t first, int64_t count
) {
    float weights[MOST_TAPS][TURNED];
    for (int64_t c = 0; c < count; c++)
        for (int32_t tap = 0; tap < w->taps; tap++) weights[tap][c] = w->weights[(first + c) * w->taps + tap];
    for (int32_t token = 0; token < run->columns; token++) {
        float sums[TURNED] = {0};
        for (int32_t tap = 0; tap < w->taps; tap++) {
            const float *input = input_before(w, run, token, w->taps - 1 - tap) + first;
            for (int64_t c = 0; c < count; c++) sums[c] += input[c] * weights[tap][c];
        }
        memcpy(w->output + ((size_t)run->column + token) * w->channels + first, sums, (size_t)count * sizeof(float));
    }
}

void recurrent_convolve(
    const struct recurrent_batch *batch, const struct recurrent_convolution *w, int32_t thread, int32_t threads
) {
    CHECK(w->taps > 1 && w->taps <= MOST_TAPS && w->channels > 0);
    const int64_t first = (int64_t)w->channels * thread / threads, end = (int64_t)w->channels * (thread + 1) / threads;
    for (int32_t r = 0; r < batch->run_count; r++) {
        const struct recurrent_run *run = &batch->runs[r];
        for (int64_t c = first; c < end; c += TURNED) convolve_channels(w, run, c, end - c < TURNED ? end - c : TURNED);
        // The oldest first, so that what is moved was not overwritten.
        for (int32_t kept = 0; kept < w->taps - 1; kept++) {
            const float *input = input_before(w, run, run->columns - 1, w->taps - 2 - kept);
            float *to = run->inputs + (size_t)kept * w->channels;
            for (int64_t c = first; c < end; c++) to[c] = input[c];
        }
    }
}

void recurrent_learn(
    const struct recurrent_batch *batch, const struct recurrent_delta *work, int32_t thread, int32_t threads
) {
    CHECK(work->size > 0 && work->key_size > 0 && work->key_heads > 0 && work->heads % work->key_heads == 0);
    functions_of(batch->level)->learn(batch, work, thread, threads);
}
