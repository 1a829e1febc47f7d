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

/// Four or five bits each, from -`most` - 1 on: the number of the largest magnitude becomes the lowest.
static void number_signed(const float *from, int most, char *scale, int *numbers) {
    float largest = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(from[i]) > fabsf(largest)) largest = from[i];
    float step = largest / (float)-(most + 1), inverse = step != 0 ? 1 / step : 0;
    uint16_t half = to_half(step);
    memcpy(scale, &half, sizeof half);
    for (int i = 0; i < 32; i++) {
        int number = (int)(from[i] * inverse + ((float)(most + 1) + 0.5f));
        numbers[i] = number > 2 * most + 1 ? 2 * most + 1 : number;
    }
}

/// Four or five bits each, from the lowest number to the highest.
static void number_between(const float *from, int most, char *scale, int *numbers) {
    float lowest = from[0], highest = from[0];
    for (int i = 1; i < 32; i++) {
        if (from[i] < lowest) lowest = from[i];
        if (from[i] > highest) highest = from[i];
    }
    float step = (highest - lowest) / (float)most, inverse = step != 0 ? 1 / step : 0;
    uint16_t halves[2] = {to_half(step), to_half(lowest)};
    memcpy(scale, halves, sizeof halves);
    for (int i = 0; i < 32; i++) {
        int number = (int)((from[i] - lowest) * inverse + 0.5f);
        numbers[i] = number > most ? most : number;
    }
}

/// Blocks of numbers with a scale before them, and what is added if there is something.
static void store_bits(const float *from, char *to, int32_t count, int bits, bool has_lowest) {
    for (int32_t begin = 0; begin < count; begin += 32) {
        int numbers[32];
        if (has_lowest) number_between(from + begin, (1 << bits) - 1, to, numbers);
        else number_signed(from + begin, (1 << (bits - 1)) - 1, to, numbers);
        to += has_lowest ? 4 : 2;
        if (bits == 5) {
            uint32_t fifths = 0;
            for (int i = 0; i < 32; i++) fifths |= (uint32_t)(numbers[i] >> 4) << i;
            memcpy(to, &fifths, sizeof fifths);
            to += sizeof fifths;
        }
        for (int i = 0; i < 16; i++) *to++ = (char)((numbers[i] & 15) | (numbers[i + 16] & 15) << 4);
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
    case ATTENTION_Q4_0: store_bits(from, to, count, 4, false); return;
    case ATTENTION_Q4_1: store_bits(from, to, count, 4, true); return;
    case ATTENTION_Q5_0: store_bits(from, to, count, 5, false); return;
    case ATTENTION_Q5_1: store_bits(from, to, count, 5, true); return;
    }
}
