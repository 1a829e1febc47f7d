// Which keys move when old entries move up.
#include "include/KeyTurns.h"

#include <stdlib.h>

/// Entries whose places lie within so many positions are ordered by place, others by sorting.
enum { RAISING_SPAN = 8192 };

struct aged_entry {
    float position;
    int32_t slot;
};

struct raising_room {
    struct aged_entry *aged; ///< `[count]`
    int32_t *places;         ///< `[count]`: where keys are; the largest integer where a slot is empty
    int32_t *oldest;         ///< `[count + 1]`: slots
    int32_t *at;             ///< `[RAISING_SPAN + 1]`: the slot at each place
};

size_t attention_raising_room(int32_t count) {
    size_t slots = (size_t)count;
    return slots * sizeof(struct aged_entry) + (2 * slots + 1 + RAISING_SPAN + 1) * sizeof(int32_t);
}

static struct raising_room raising_room_at(void *room, int32_t count) {
    struct aged_entry *aged = room;
    int32_t *places = (int32_t *)(aged + count), *oldest = places + count;
    return (struct raising_room){.aged = aged, .places = places, .oldest = oldest, .at = oldest + count + 1};
}

/// Finds where a head's keys are; returns the lowest place.
static int32_t find_places(const struct attention_raising *r, const float *held, const float *moved, int32_t *places) {
    float base = (float)r->base;
    int32_t lowest = INT32_MAX;
    for (int32_t i = 0; i < r->count; i++) {
        float own = held[i] - base, place = own > moved[i] ? own : moved[i];
        // Numbers of a file that make no sense stay within the range of integers.
        place = place > 0 ? place : 0;
        place = place < 0x1p30f ? place : 0x1p30f;
        places[i] = held[i] >= 0 ? (int32_t)place : INT32_MAX;
        lowest = places[i] < lowest ? places[i] : lowest;
    }
    return lowest;
}

/// Orders the entries that may be moved by their places, without a branch per entry; returns how many they are, -1 if two are
/// in one place or they lie too far apart.
static int32_t order_by_place(const struct attention_raising *r, int32_t lowest, const struct raising_room *room) {
    int64_t span = (int64_t)r->floor + r->count - lowest;
    if (span <= 0) return 0;
    if (span > RAISING_SPAN) return -1;
    int32_t near = 0, count = 0;
    for (int32_t i = 0; i <= span; i++) room->at[i] = -1;
    for (int32_t i = 0; i < r->count; i++) {
        int32_t ahead = room->places[i] - lowest;
        near += ahead < span;
        room->at[ahead < span ? ahead : span] = i;
    }
    for (int32_t i = 0; i < span && count < near; i++) {
        room->oldest[count] = room->at[i];
        count += room->at[i] >= 0;
    }
    return count == near ? count : -1;
}

static int compare_ages(const void *one, const void *other) {
    float a = ((const struct aged_entry *)one)->position, b = ((const struct aged_entry *)other)->position;
    return (a > b) - (a < b);
}

/// The same by age, for entries that a far floor moves past others: places do not tell then which is older.
static int32_t order_by_age(const struct attention_raising *r, const float *held, const struct raising_room *room) {
    int32_t count = 0;
    for (int32_t i = 0; i < r->count; i++)
        if (held[i] >= 0) room->aged[count++] = (struct aged_entry){held[i], i};
    qsort(room->aged, (size_t)count, sizeof *room->aged, compare_ages);
    for (int32_t i = 0; i < count; i++) room->oldest[i] = room->aged[i].slot;
    return count;
}

static int32_t raise_head(
    const struct attention_raising *r, int32_t head, const struct raising_room *room, struct attention_turn *turns
) {
    int32_t first = head * r->count, count = 0;
    const float *held = r->held + (r->shares_positions ? 0 : first);
    float *moved = r->moved + first;
    int32_t lowest = find_places(r, held, moved, room->places);
    int32_t entries = order_by_place(r, lowest, room);
    if (entries < 0) entries = order_by_age(r, held, room);
    for (; count < entries; count++) {
        int32_t slot = room->oldest[count], own = room->places[slot], target = r->floor + count;
        if (own >= target) break;
        turns[count] = (struct attention_turn){first + slot, target - r->shift - own};
        moved[slot] = (float)target;
        room->places[slot] = INT32_MAX;
    }
    if (r->shift == 0) return count;
    // All others turn with the base.
    for (int32_t i = 0; i < r->count; i++) {
        if (room->places[i] != INT32_MAX) turns[count++] = (struct attention_turn){first + i, -r->shift};
        moved[i] -= (float)r->shift;
    }
    return count;
}

int32_t attention_raise(const struct attention_raising *raising, void *memory, struct attention_turn *turns) {
    struct raising_room room = raising_room_at(memory, raising->count);
    int32_t count = 0;
    for (int32_t head = 0; head < raising->heads; head++) count += raise_head(raising, head, &room, turns + count);
    return count;
}
