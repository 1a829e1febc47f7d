// The threads that work on one unit together, and their barrier.
#include "include/CAttention.h"
#include <sched.h>
#include <stdatomic.h>

/// Who works on a unit, and in which memory.
struct team {
    int rank, size;
    struct attention_barrier *barrier;
    float *shared; ///< the workspace that all of the team see
    float *own;    ///< this thread's workspace
    const struct attention_batch *batch;
};

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
