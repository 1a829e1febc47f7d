// The threads that work on one unit together, and their barrier.
#pragma once

#include "include/CAttention.h"
#include "simd.h"
#include <sched.h>
#include <stdatomic.h>

/// Who works on a unit, and in which memory.
struct team {
    int rank, size;
    bool alone; ///< whether one thread does all parts, one after the other
    struct attention_barrier *barrier;
    float *shared; ///< the workspace that all of the team see; that of the first thread
    float *own;    ///< this thread's workspace
    const struct attention_batch *batch;
};

/// Where another thread has what `area` is of the workspace that all see.
INLINE float *area_of(const struct team *team, float *area, int rank) {
    return area + (size_t)rank * team->batch->workspace_stride;
}

INLINE void pause_thread(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wait_for_team(const struct team *team) {
    if (team->size == 1) return;
    _Atomic int32_t *arrived = (_Atomic int32_t *)&team->barrier->arrived;
    _Atomic int32_t *phase = (_Atomic int32_t *)&team->barrier->phase;
    int32_t current = atomic_load_explicit(phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(arrived, 1, memory_order_acq_rel) == team->size - 1) {
        atomic_store_explicit(arrived, 0, memory_order_relaxed);
        atomic_store_explicit(phase, current + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(phase, memory_order_acquire) == current; spins++) {
        // Where there are more threads than free cores, the one waited for needs this one's.
        if (spins > 4096) sched_yield();
        else pause_thread();
    }
}
