// Vectors of LANES floats, for whichever instructions the including file is compiled for.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

typedef float vf __attribute__((ext_vector_type(LANES)));
typedef int32_t vi __attribute__((ext_vector_type(LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(LANES)));
typedef uint16_t vu16 __attribute__((ext_vector_type(LANES)));
typedef uint8_t vu8 __attribute__((ext_vector_type(LANES)));
typedef int8_t vi8 __attribute__((ext_vector_type(LANES)));
typedef _Float16 vh __attribute__((ext_vector_type(LANES)));

INLINE vf splat(float x) { return (vf)x; }

INLINE vf load(const float *from) {
    vf v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(vf v, float *to) { memcpy(to, &v, sizeof v); }

/// The first `count` lanes from memory, the others `fill`.
INLINE vf load_part(const float *from, int count, float fill) {
    if (count >= LANES) return load(from);
    float buffer[LANES];
    for (int i = 0; i < LANES; i++) buffer[i] = fill;
    memcpy(buffer, from, (size_t)count * sizeof(float));
    return load(buffer);
}

INLINE void store_part(vf v, float *to, int count) {
    if (count >= LANES) {
        store(v, to);
        return;
    }
    float buffer[LANES];
    store(v, buffer);
    memcpy(to, buffer, (size_t)count * sizeof(float));
}

INLINE vf as_floats(vi bits) {
    vf v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

INLINE vi as_bits(vf v) {
    vi bits;
    memcpy(&bits, &v, sizeof v);
    return bits;
}

/// a where the mask is set, else b.
INLINE vf choose(vi mask, vf a, vf b) { return as_floats((as_bits(a) & mask) | (as_bits(b) & ~mask)); }

INLINE vf larger(vf a, vf b) { return __builtin_elementwise_max(a, b); }

INLINE float sum_lanes(vf v) {
#if LANES == 16
    float __attribute__((ext_vector_type(8))) v8 = v.lo + v.hi;
    float __attribute__((ext_vector_type(4))) v4 = v8.lo + v8.hi;
#elif LANES == 8
    float __attribute__((ext_vector_type(4))) v4 = v.lo + v.hi;
#else
    vf v4 = v;
#endif
    return (v4.x + v4.z) + (v4.y + v4.w);
}

INLINE float max_lanes(vf v) {
#if LANES == 16
    float __attribute__((ext_vector_type(8))) v8 = __builtin_elementwise_max(v.lo, v.hi);
    float __attribute__((ext_vector_type(4))) v4 = __builtin_elementwise_max(v8.lo, v8.hi);
#elif LANES == 8
    float __attribute__((ext_vector_type(4))) v4 = __builtin_elementwise_max(v.lo, v.hi);
#else
    vf v4 = v;
#endif
    float __attribute__((ext_vector_type(2))) v2 = __builtin_elementwise_max(v4.lo, v4.hi);
    return v2.x > v2.y ? v2.x : v2.y;
}

/// The sums of four vectors' lanes.
INLINE void sum_four(const vf *v, float *to) {
#if LANES == 16
    vf ab = __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
            __builtin_shufflevector(v[0], v[1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    vf cd = __builtin_shufflevector(v[2], v[3], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
            __builtin_shufflevector(v[2], v[3], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    vf all = __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
             __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    vf half = all + __builtin_shufflevector(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    vf sums = half + __builtin_shufflevector(half, half, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    float __attribute__((ext_vector_type(4))) result = __builtin_shufflevector(sums, sums, 0, 4, 8, 12);
    memcpy(to, &result, sizeof result);
#else
    UNROLL
    for (int i = 0; i < 4; i++) to[i] = sum_lanes(v[i]);
#endif
}

/// e^x for x <= 0; exactly 0 where the result would be below the normal numbers.
///
/// e^x = 2^n e^r with |r| <= ln 2 / 2; the polynomial is the Taylor series to the sixth order, whose remainder there
/// is below one unit in the last place.
INLINE vf exp_lanes(vf x) {
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
    vf shifted = x * 1.44269504088896341f + magic;
    vf n = shifted - magic;
    vf r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vf p = r * (1.0f / 720) + (1.0f / 120);
    p = p * r + (1.0f / 24);
    p = p * r + (1.0f / 6);
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    vf power = as_floats((as_bits(shifted) << 23) + 0x3f800000);
    return choose(x < splat(-87.0f), splat(0), p * power);
}

INLINE vf half_to_float(vu16 bits) {
#if defined(__AVX512F__) || defined(__AVX2__) || defined(__aarch64__) || defined(HALF_IS_NATIVE)
    vh half;
    memcpy(&half, &bits, sizeof half);
    return __builtin_convertvector(half, vf);
#else
    // A multiplication by 2^112 moves the exponent, of subnormal numbers too.
    vu wide = __builtin_convertvector(bits, vu);
    vf magnitude = as_floats((vi)((wide & 0x7fff) << 13)) * 0x1p112f;
    vi special = (vi)((wide & 0x7c00) == 0x7c00);
    vi result = as_bits(magnitude) | (special & 0x7f800000) | (vi)((wide & 0x8000) << 16);
    return as_floats(result);
#endif
}

INLINE vf bf16_to_float(vu16 bits) { return as_floats((vi)(__builtin_convertvector(bits, vu) << 16)); }
