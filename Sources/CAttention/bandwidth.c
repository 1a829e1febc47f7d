// How fast this machine reads memory, to set other figures against.
#include "include/CAttention.h"

uint64_t attention_read(const uint64_t *memory, size_t count) {
    uint64_t sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int lane = 0; lane < 8; lane++) sums[lane] += memory[i + (size_t)lane];
    for (; i < count; i++) sums[0] += memory[i];
    for (int lane = 1; lane < 8; lane++) sums[0] += sums[lane];
    return sums[0];
}
