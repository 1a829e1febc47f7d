// Which rows are multiplied in whole numbers.
//
// A file that includes the kernel defines HAS_BYTE_PRODUCTS where there are instructions for products of bytes, and
// HAS_WHOLE_NUMBERS where keys in blocks are multiplied as whole numbers; with AVX-512 values are too.
#pragma once

#ifdef HAS_WHOLE_NUMBERS
#include "whole.h"
#if LANES == 16
#include "whole_sums.h"
#endif

/// Calls a function for a type of blocks, with the type as a constant, and returns.
#define CALL_IF(type, constant, function, ...) \
    if (type == constant) { \
        function(constant, __VA_ARGS__); \
        return; \
    }

#define CALL_FEW_BITS(type, function, ...) \
    CALL_IF(type, ATTENTION_Q4_0, function, __VA_ARGS__) \
    CALL_IF(type, ATTENTION_Q4_1, function, __VA_ARGS__) \
    CALL_IF(type, ATTENTION_Q5_0, function, __VA_ARGS__) \
    CALL_IF(type, ATTENTION_Q5_1, function, __VA_ARGS__)

static void score_rows(enum attention_type type, const struct row_pass *pass) {
    CALL_FEW_BITS(type, multiply_typed, pass)
#ifdef HAS_BYTE_PRODUCTS
    // Without them two products of these would not fit 16 bits.
    CALL_IF(type, ATTENTION_Q8_0, multiply_typed, pass)
#endif
    dot_rows(type, pass);
}

#if LANES == 16
static void add_rows(enum attention_type type, const struct row_pass *pass) {
    CALL_FEW_BITS(type, weigh_whole_typed, pass)
    CALL_IF(type, ATTENTION_Q8_0, weigh_whole_typed, pass)
    weigh_rows(type, pass);
}
#else
#define add_rows weigh_rows
#endif
#else
#include "rows.h"
#define score_rows dot_rows
#define add_rows weigh_rows
#endif
