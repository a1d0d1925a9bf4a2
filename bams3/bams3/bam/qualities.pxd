# The score of a read, as in samtools: the sum of its good qualities.

from libc.stdint cimport int64_t, uint8_t

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif

    #define BAMS3_GOOD 15

    static int64_t bams3_sum_of_good(const uint8_t *qual, int64_t count) {
        int64_t total = 0, i = 0;
    #ifdef __SSE2__
        const __m128i least = _mm_set1_epi8(BAMS3_GOOD), zero = _mm_setzero_si128();
        __m128i sums = zero;
        for (; i + 16 <= count; i += 16) {
            __m128i q = _mm_loadu_si128((const __m128i *)(qual + i));
            __m128i chosen = _mm_and_si128(q, _mm_cmpeq_epi8(_mm_max_epu8(q, least), q));
            sums = _mm_add_epi64(sums, _mm_sad_epu8(chosen, zero));
        }
        total = _mm_cvtsi128_si64(sums) + _mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums));
    #endif
        for (; i < count; i++)
            total += qual[i] >= BAMS3_GOOD ? qual[i] : 0;
        return total;
    }
    """
    int64_t sum_of_good "bams3_sum_of_good"(const uint8_t *qual, int64_t count) nogil  # sum of the qualities ≥ 15
