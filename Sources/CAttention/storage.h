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

INLINE vf load_q8_0(const char *row, int d) {
    const char *block = row + (size_t)(d / 32) * 34;
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    vi8 numbers;
    memcpy(&numbers, block + 2 + d % 32, sizeof numbers);
    return __builtin_convertvector(numbers, vf) * half_to_float((vu16)scale);
}

/// LANES numbers of a row, from number `d` on. `type` is a constant wherever this is inlined.
INLINE vf load_row(const enum attention_type type, const char *row, int d) {
    switch (type) {
    case ATTENTION_F32: return load_f32(row, d);
    case ATTENTION_F16: return load_f16(row, d);
    case ATTENTION_BF16: return load_bf16(row, d);
    case ATTENTION_Q8_0: return load_q8_0(row, d);
    }
    __builtin_unreachable();
}

/// The last `count` < LANES numbers of a row, then zeros. Types in blocks have no such rest.
INLINE vf load_row_rest(const enum attention_type type, const char *row, int d, int count) {
    char buffer[LANES * sizeof(float)] = {0};
    memcpy(buffer, row + stored_bytes(type, d), stored_bytes(type, count));
    return load_row(type, buffer, 0);
}
