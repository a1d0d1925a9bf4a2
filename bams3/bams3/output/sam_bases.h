/* The letters of bases in BAM encoding, two in a byte: SSSE3 where the CPU has it, otherwise a table. Both write
 * the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const char sam_letters[16] = {'=', 'A', 'C', 'M', 'G', 'R', 'S', 'V', 'T', 'W', 'Y', 'H', 'K', 'D', 'B', 'N'};
static uint8_t sam_pairs[256][2];
static int sam_has_shuffle;

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* Bases [0, 16 k) for the largest k that fits; returns their number. */
__attribute__((target("ssse3"))) static size_t sam_shuffle(uint8_t *out, const uint8_t *seq, size_t length) {
    const __m128i letters = _mm_loadu_si128((const __m128i *)sam_letters), low = _mm_set1_epi8(15);
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        __m128i pairs = _mm_loadl_epi64((const __m128i *)(seq + i / 2));
        __m128i bases = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(pairs, 4), low), _mm_and_si128(pairs, low));
        _mm_storeu_si128((__m128i *)(out + i), _mm_shuffle_epi8(letters, bases));
    }
    return i;
}
#define SAM_HAS_SHUFFLE __builtin_cpu_supports("ssse3")
#else
static size_t sam_shuffle(uint8_t *out, const uint8_t *seq, size_t length) { return 0; }
#define SAM_HAS_SHUFFLE 0
#endif

static void sam_init(void) {
    for (int i = 0; i < 256; i++) {
        sam_pairs[i][0] = (uint8_t)sam_letters[i >> 4];
        sam_pairs[i][1] = (uint8_t)sam_letters[i & 15];
    }
    sam_has_shuffle = SAM_HAS_SHUFFLE;
}

static inline void sam_bases(uint8_t *out, const uint8_t *seq, size_t length) {
    size_t i = sam_has_shuffle ? sam_shuffle(out, seq, length) : 0;
    for (; i + 2 <= length; i += 2)
        memcpy(out + i, sam_pairs[seq[i / 2]], 2);
    if (i < length)
        out[i] = sam_pairs[seq[i / 2]][0];
}
