// How many bytes rows take.
#pragma once

#include "include/CAttention.h"

/// Bytes of `count` numbers; of whole blocks, for types that have them.
static inline size_t stored_bytes(enum attention_type type, int32_t count) {
    switch (type) {
    case ATTENTION_F32: return (size_t)count * 4;
    case ATTENTION_F16:
    case ATTENTION_BF16: return (size_t)count * 2;
    case ATTENTION_Q8_0: return (size_t)count / 32 * 34;
    }
    __builtin_trap();
}
