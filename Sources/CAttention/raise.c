// Which keys move when old entries move up.
#include "include/KeyTurns.h"

int32_t attention_places(const struct attention_raising *raising, const float *held, const float *moved, int32_t *places) {
    float base = (float)raising->base;
    int32_t lowest = INT32_MAX;
    for (int32_t i = 0; i < raising->count; i++) {
        float own = held[i] - base, place = own > moved[i] ? own : moved[i];
        // Numbers of a file that make no sense stay within the range of integers.
        place = place > 0 ? place : 0;
        place = place < 0x1p30f ? place : 0x1p30f;
        places[i] = held[i] >= 0 ? (int32_t)place : INT32_MAX;
        lowest = places[i] < lowest ? places[i] : lowest;
    }
    return lowest;
}

int32_t attention_raise(
    const struct attention_raising *raising, int32_t lowest, const int32_t *places, int32_t first_row, float *moved,
    int32_t *order, struct attention_turn *turns
) {
    int32_t span = raising->floor + raising->count - lowest, count = 0, rank = 0;
    for (int32_t i = 0; i < span; i++) order[i] = -1;
    for (int32_t i = 0; i < raising->count; i++) {
        if (places[i] >= raising->floor + raising->count) continue;
        if (order[places[i] - lowest] >= 0) return -1;
        order[places[i] - lowest] = i;
    }
    int32_t own = lowest;
    for (; own < lowest + span; own++) {
        int32_t slot = order[own - lowest], target = raising->floor + rank;
        if (slot < 0) continue;
        if (own >= target) break;
        turns[count++] = (struct attention_turn){first_row + slot, target - raising->shift - own};
        moved[slot] = (float)target;
        rank++;
    }
    if (raising->shift == 0) return count;
    // All others turn with the base.
    for (int32_t i = 0; i < raising->count; i++) {
        if (places[i] != INT32_MAX && places[i] >= own)
            turns[count++] = (struct attention_turn){first_row + i, -raising->shift};
        moved[i] -= (float)raising->shift;
    }
    return count;
}
