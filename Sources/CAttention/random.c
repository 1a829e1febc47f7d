// Numbers that look random and are the same wherever they are computed.
#include "include/CAttention.h"

/// The last step of MurmurHash3, by Austin Appleby in the public domain: every bit of the result depends on every bit.
static uint32_t mixed(uint32_t bits) {
    bits = (bits ^ bits >> 16) * 0x85ebca6b;
    bits = (bits ^ bits >> 13) * 0xc2b2ae35;
    return bits ^ bits >> 16;
}

float attention_random(uint32_t seed, int32_t head, int64_t position) {
    uint32_t bits = mixed(mixed(mixed(seed) + (uint32_t)head) + (uint32_t)position);
    // The upper 24 bits are exact in a float.
    return (float)(bits >> 8) * 0x1p-24f;
}
