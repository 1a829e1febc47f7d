// The kernel for what every machine of an architecture has: NEON or SSE2.
#define LANES 4
#include "kernel.h"

void attention_compute_plain(
    const struct attention_batch *batch, const struct attention_vectors *vectors, int32_t thread, int32_t threads
) {
    compute(batch, vectors, thread, threads);
}
