// Which kernel runs, and how rows are stored.
#include "include/CAttention.h"
#include <math.h>
#include <string.h>

#define DECLARE(name)                                                                                                  \
    void name(const struct attention_batch *, const float *, const float *, const float *, float *, int32_t, int32_t)
DECLARE(attention_compute_plain);
#if defined(__x86_64__)
DECLARE(attention_compute_avx2);
DECLARE(attention_compute_avx512);
#endif

enum attention_level attention_best_level(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return ATTENTION_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        return ATTENTION_AVX2;
#endif
    return ATTENTION_PLAIN;
}

void attention_compute(
    const struct attention_batch *batch, const float *query, const float *key,
    const float *value, float *output, int32_t thread, int32_t threads
) {
    switch (batch->level) {
#if defined(__x86_64__)
    case ATTENTION_AVX512: attention_compute_avx512(batch, query, key, value, output, thread, threads); return;
    case ATTENTION_AVX2: attention_compute_avx2(batch, query, key, value, output, thread, threads); return;
#endif
    default: attention_compute_plain(batch, query, key, value, output, thread, threads); return;
    }
}

size_t attention_row_bytes(enum attention_type type, int32_t dimension) {
    size_t count = (size_t)dimension;
    switch (type) {
    case ATTENTION_F32: return count * 4;
    case ATTENTION_Q8_0: return count / 32 * 34;
    default: return count * 2;
    }
}

size_t attention_workspace(int32_t dimension, int32_t group, int64_t visible) {
    size_t g = (size_t)group, padded = (size_t)dimension + 16, stride = (size_t)visible + 32;
    size_t floats = 16 + 4 * (g + 16) + 3 * g * padded + (2 * g + 4) * stride;
    return (floats + 15) / 16 * 16;
}

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
