/* Packing of qualities with AVX2, where the CPU has it: the indices of few values, 2 or 4 bits each. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define QUALITY_STEP 128   /* qualities that are packed at a time */
#define QUALITY_NONE 255   /* no index */

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define QUALITY_AVX2 __attribute__((target("avx2")))

/* Index + 1 of each quality, or 0 if it has none, looked up in four tables of 16 values. A shuffle gives 0 for bytes
 * whose highest bit is set; therefore qualities of 64 or more have no index. */
QUALITY_AVX2 static inline __m256i quality_indices(const uint8_t *qual, const __m256i *tables) {
    __m256i q = _mm256_loadu_si256((const __m256i *)qual), found = _mm256_setzero_si256();
    for (int k = 0; k < 4; k++) {
        __m256i at = _mm256_adds_epu8(_mm256_xor_si256(q, _mm256_set1_epi8((char)(16 * k))), _mm256_set1_epi8(0x70));
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(tables[k], at));
    }
    return found;
}

/* Pack qualities, one step at a time, up to the first step with a quality that has no index; returns how many qualities
 * are packed. */
QUALITY_AVX2 static size_t quality_pack(const uint8_t *qual, size_t size, int bits, const uint8_t *index_of, uint8_t *out) {
    const __m256i one = _mm256_set1_epi8(1), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i pair = _mm256_set1_epi16(bits == 4 ? 0x1001 : 0x0401), four = _mm256_set1_epi32(0x00100001);
    __m256i tables[4];
    for (int k = 0; k < 4; k++) {
        uint8_t table[32];
        for (int j = 0; j < 32; j++) {
            uint8_t index = index_of[16 * k + j % 16];
            table[j] = index == QUALITY_NONE ? 0 : (uint8_t)(index + 1);
        }
        tables[k] = _mm256_loadu_si256((const __m256i *)table);
    }
    size_t i = 0;
    for (; i + QUALITY_STEP <= size; i += QUALITY_STEP) {
        __m256i x[4], least = _mm256_set1_epi8(-1);
        for (int k = 0; k < 4; k++) {
            x[k] = quality_indices(qual + i + 32 * k, tables);
            least = _mm256_min_epu8(least, x[k]);
            x[k] = _mm256_maddubs_epi16(_mm256_sub_epi8(x[k], one), pair);
        }
        if (_mm256_movemask_epi8(_mm256_cmpeq_epi8(least, _mm256_setzero_si256())))
            break;
        if (bits == 4) {
            for (int k = 0; k < 4; k += 2)
                _mm256_storeu_si256((__m256i *)(out + i / 2 + 16 * k), _mm256_permute4x64_epi64(_mm256_packus_epi16(x[k], x[k + 1]), 0xD8));
        } else {
            for (int k = 0; k < 4; k++)
                x[k] = _mm256_madd_epi16(x[k], four);
            __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(x[0], x[1]), _mm256_packus_epi32(x[2], x[3]));
            _mm256_storeu_si256((__m256i *)(out + i / 4), _mm256_permutevar8x32_epi32(packed, order));
        }
    }
    return i;
}

static int quality_cpu_can_pack(void) { return __builtin_cpu_supports("avx2"); }
#else
static size_t quality_pack(const uint8_t *qual, size_t size, int bits, const uint8_t *index_of, uint8_t *out) {
    (void)qual, (void)size, (void)bits, (void)index_of, (void)out;
    return 0;
}
static int quality_cpu_can_pack(void) { return 0; }
#endif
