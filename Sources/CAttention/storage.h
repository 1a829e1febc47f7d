// How rows of each storage type are read, a vector of numbers at a time.
#pragma once

#include "format.h"
#include "simd.h"

INLINE vf load_f32(const char *row, int d) { return load((const float *)row + d); }

INLINE vf load_f16(const char *row, int d) {
    vu16 bits;
    memcpy(&bits, row + 2 * (size_t)d, sizeof bits);
    return half_to_float(bits);
}

INLINE vf load_bf16(const char *row, int d) {
    vu16 bits;
    memcpy(&bits, row + 2 * (size_t)d, sizeof bits);
    return bf16_to_float(bits);
}

INLINE vf load_half(const char *from) {
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return half_to_float((vu16)half);
}

INLINE vf load_q8_0(const char *row, int d) {
    const char *block = row + (size_t)(d / 32) * 34;
    vi8 numbers;
    memcpy(&numbers, block + 2 + d % 32, sizeof numbers);
    return __builtin_convertvector(numbers, vf) * load_half(block);
}

/// Numbers of 4 bits of a block, from number `d` of the row on.
INLINE vu load_nibbles(const char *bytes, int d) {
    vu8 pairs;
    memcpy(&pairs, bytes + d % 16, sizeof pairs);
    return __builtin_convertvector(pairs, vu) >> (d >> 2 & 4) & 15;
}

/// The same with their fifth bits, which lie before them.
INLINE vu load_fives(const char *bits, int d) {
    uint32_t fifths;
    memcpy(&fifths, bits, sizeof fifths);
    vu lanes;
    UNROLL
    for (int i = 0; i < LANES; i++) lanes[i] = (uint32_t)i;
    return load_nibbles(bits + sizeof fifths, d) | ((vu)(fifths >> d % 32) >> lanes & 1) << 4;
}

INLINE vf signed_floats(vu numbers) { return __builtin_convertvector((vi)numbers, vf); }

INLINE vf load_q4_0(const char *row, int d) {
    const char *block = row + (size_t)(d / 32) * 18;
    return (signed_floats(load_nibbles(block + 2, d)) - 8) * load_half(block);
}

INLINE vf load_q4_1(const char *row, int d) {
    const char *block = row + (size_t)(d / 32) * 20;
    return signed_floats(load_nibbles(block + 4, d)) * load_half(block) + load_half(block + 2);
}

INLINE vf load_q5_0(const char *row, int d) {
    const char *block = row + (size_t)(d / 32) * 22;
    return (signed_floats(load_fives(block + 2, d)) - 16) * load_half(block);
}

INLINE vf load_q5_1(const char *row, int d) {
    const char *block = row + (size_t)(d / 32) * 24;
    return signed_floats(load_fives(block + 4, d)) * load_half(block) + load_half(block + 2);
}

/// LANES numbers of a row, from number `d` on. `type` is a constant wherever this is inlined.
INLINE vf load_row(const enum attention_type type, const char *row, int d) {
    switch (type) {
    case ATTENTION_F32: return load_f32(row, d);
    case ATTENTION_F16: return load_f16(row, d);
    case ATTENTION_BF16: return load_bf16(row, d);
    case ATTENTION_Q8_0: return load_q8_0(row, d);
    case ATTENTION_Q4_0: return load_q4_0(row, d);
    case ATTENTION_Q4_1: return load_q4_1(row, d);
    case ATTENTION_Q5_0: return load_q5_0(row, d);
    case ATTENTION_Q5_1: return load_q5_1(row, d);
    }
    __builtin_unreachable();
}

/// Calls a function whose first argument is a type, which is a constant there, and returns.
#define CALL_TYPED(type, function, ...) \
    switch (type) { \
    case ATTENTION_F32: function(ATTENTION_F32, __VA_ARGS__); return; \
    case ATTENTION_F16: function(ATTENTION_F16, __VA_ARGS__); return; \
    case ATTENTION_BF16: function(ATTENTION_BF16, __VA_ARGS__); return; \
    case ATTENTION_Q8_0: function(ATTENTION_Q8_0, __VA_ARGS__); return; \
    case ATTENTION_Q4_0: function(ATTENTION_Q4_0, __VA_ARGS__); return; \
    case ATTENTION_Q4_1: function(ATTENTION_Q4_1, __VA_ARGS__); return; \
    case ATTENTION_Q5_0: function(ATTENTION_Q5_0, __VA_ARGS__); return; \
    case ATTENTION_Q5_1: function(ATTENTION_Q5_1, __VA_ARGS__); return; \
    } \
    __builtin_trap()

/// The last `count` < LANES numbers of a row, then zeros. Types in blocks have no such rest.
INLINE vf load_row_rest(const enum attention_type type, const char *row, int d, int count) {
    char buffer[LANES * sizeof(float)] = {0};
    memcpy(buffer, row + stored_bytes(type, d), stored_bytes(type, count));
    return load_row(type, buffer, 0);
}
