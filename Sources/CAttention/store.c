// How rows are written.
#include "format.h"
#include <math.h>
#include <string.h>

size_t attention_row_bytes(enum attention_type type, int32_t dimension) { return stored_bytes(type, dimension); }

/// Rounds to the nearest, ties to even, as the hardware does; too large becomes infinite.
static uint16_t to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return sign | 0x7e00;
    if (bits >= 0x477ff000) return sign | 0x7c00;
    if (bits < 0x38800000) {
        // Adding 0.5 leaves the rounded subnormal in the lowest bits.
        float shifted;
        memcpy(&shifted, &bits, sizeof shifted);
        shifted += 0.5f;
        uint32_t result;
        memcpy(&result, &shifted, sizeof result);
        return sign | (uint16_t)(result - 0x3f000000);
    }
    return sign | (uint16_t)((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13);
}

static uint16_t to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void store_q8_0(const float *from, char *to, int32_t count) {
    for (int32_t begin = 0; begin < count; begin += 32, to += 34) {
        float largest = 0;
        for (int i = 0; i < 32; i++) largest = fmaxf(largest, fabsf(from[begin + i]));
        float scale = largest / 127, inverse = scale != 0 ? 1 / scale : 0;
        uint16_t half = to_half(scale);
        memcpy(to, &half, sizeof half);
        for (int i = 0; i < 32; i++) to[2 + i] = (char)(int8_t)roundf(from[begin + i] * inverse);
    }
}

void attention_store_row(enum attention_type type, const float *from, void *to, int32_t count) {
    switch (type) {
    case ATTENTION_F32: memcpy(to, from, (size_t)count * sizeof(float)); return;
    case ATTENTION_F16:
        for (int32_t i = 0; i < count; i++) ((uint16_t *)to)[i] = to_half(from[i]);
        return;
    case ATTENTION_BF16:
        for (int32_t i = 0; i < count; i++) ((uint16_t *)to)[i] = to_bf16(from[i]);
        return;
    case ATTENTION_Q8_0: store_q8_0(from, to, count); return;
    }
}
