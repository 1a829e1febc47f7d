// Vectors of LANES 32-bit words, which whole numbers are multiplied in, for AVX-512 and AVX2.
#pragma once

#include "simd.h"
#include "workspace.h"
#include <immintrin.h>

#if LANES == 16
typedef __m512i vw;
#define WORDS(operation) _mm512_##operation
#else
typedef __m256i vw;
#define WORDS(operation) _mm256_##operation
#endif

/// LANES / 4 pieces of 16 bytes, `stride` bytes apart.
INLINE vw load_pieces(const char *from, size_t stride) {
    __m128i first = _mm_loadu_si128((const void *)from), second = _mm_loadu_si128((const void *)(from + stride));
#if LANES == 16
    vw all = _mm512_inserti32x4(_mm512_castsi128_si512(first), second, 1);
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(from + 2 * stride)), 2);
    return _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(from + 3 * stride)), 3);
#else
    return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
#endif
}

/// 16 bytes in each part of a vector.
INLINE vw to_all_parts(__m128i bytes) {
#if LANES == 16
    return _mm512_broadcast_i32x4(bytes);
#else
    return _mm256_broadcastsi128_si256(bytes);
#endif
}

/// The lower half of each word, which is a 16-bit float.
INLINE vf low_halves(vw words) {
#if LANES == 16
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
#else
    vw low = _mm256_and_si256(words, _mm256_set1_epi32(0xffff));
    return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
#endif
}

/// Bytes, to which `more` is added where `bits` are set in those of `flags`: one of them in each byte.
INLINE vw add_where(vw bytes, vw flags, vw bits, vw more) {
#if LANES == 16
    return _mm512_mask_add_epi8(bytes, _mm512_test_epi8_mask(flags, bits), bytes, more);
#else
    return bytes | (_mm256_cmpeq_epi8(flags & bits, bits) & more);
#endif
}

INLINE vw broadcast_word(const void *from) {
    int32_t word;
    memcpy(&word, from, sizeof word);
    return WORDS(set1_epi32)(word);
}

#ifdef HAS_BYTE_PRODUCTS
INLINE vw add_four(vw sum, vw numbers, vw codes) {
#if LANES == 16
    return _mm512_dpbusd_epi32(sum, numbers, codes);
#else
    return _mm256_dpbusd_avx_epi32(sum, numbers, codes);
#endif
}

/// Adds the products of a block's numbers, from 0 to 255, with each query's.
INLINE void add_products(
    const int nq, const vw numbers[8], const struct query_block *queries, int stride, vw *sums
) {
    // Queries take turns, so that none waits for its own last product.
    UNROLL
    for (int i = 0; i < 8; i++)
        UNROLL
        for (int q = 0; q < nq; q++)
            sums[q] = add_four(sums[q], numbers[i], broadcast_word(queries[q * stride].codes + 4 * i));
}
#else
/// Adds the products of a block's numbers with each query's. Numbers are from 0 to 31: so eight products fit 16 bits.
INLINE void add_products(
    const int nq, const vw numbers[8], const struct query_block *queries, int stride, vw *sums
) {
    const vw one = WORDS(set1_epi16)(1);
    UNROLL
    for (int half = 0; half < 8; half += 4)
        UNROLL
        for (int q = 0; q < nq; q++) {
            vw pairs = WORDS(setzero_si256)();
            UNROLL
            for (int i = half; i < half + 4; i++)
                pairs = WORDS(add_epi16)(
                    pairs, WORDS(maddubs_epi16)(numbers[i], broadcast_word(queries[q * stride].codes + 4 * i)));
            sums[q] = WORDS(add_epi32)(sums[q], WORDS(madd_epi16)(pairs, one));
        }
}
#endif
