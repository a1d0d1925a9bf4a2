/* The long parts of a line of SAM, written 16 bytes at a time: the letters of bases, from BAM's encoding of two bases
 * per byte, with SSSE3 if the CPU has it, otherwise from a table; qualities; texts of tags. All variants write the
 * same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const char sam_letters[16] = {'=', 'A', 'C', 'M', 'G', 'R', 'S', 'V', 'T', 'W', 'Y', 'H', 'K', 'D', 'B', 'N'};
static uint8_t sam_pairs[256][2];
static int sam_has_shuffle;

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("ssse3"))) static inline void sam_shuffle16(uint8_t *out, const uint8_t *seq) {
    const __m128i letters = _mm_loadu_si128((const __m128i *)sam_letters), low = _mm_set1_epi8(15);
    __m128i pairs = _mm_loadl_epi64((const __m128i *)seq);
    __m128i bases = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(pairs, 4), low), _mm_and_si128(pairs, low));
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(letters, bases));
}

/* Write all bases if there are 16 or more, otherwise none; return how many were written. The last 16 bases overlap
 * those before. If their number is odd, the other half of the last byte is written, too. */
__attribute__((target("ssse3"))) static size_t sam_shuffle(uint8_t *out, const uint8_t *seq, size_t length) {
    if (length < 16)
        return 0;
    for (size_t i = 0; i + 16 <= length; i += 16)
        sam_shuffle16(out + i, seq + i / 2);
    size_t last = (length - 15) & ~(size_t)1;
    sam_shuffle16(out + last, seq + last / 2);
    return length;
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

/* Write bases. The byte after them may change. */
static inline void sam_bases(uint8_t *out, const uint8_t *seq, size_t length) {
    size_t i = sam_has_shuffle ? sam_shuffle(out, seq, length) : 0;
    for (; i + 2 <= length; i += 2)
        memcpy(out + i, sam_pairs[seq[i / 2]], 2);
    if (i < length)
        out[i] = sam_pairs[seq[i / 2]][0];
}

static inline void sam_qualities16(uint8_t *out, const uint8_t *qual) {
    uint8_t text[16];
    memcpy(text, qual, 16);
    for (int k = 0; k < 16; k++)
        text[k] = (uint8_t)(text[k] + 33);
    memcpy(out, text, 16);
}

static inline void sam_qualities(uint8_t *out, const uint8_t *qual, size_t length) {
    size_t i = 0;
    for (; i + 16 <= length; i += 16)
        sam_qualities16(out + i, qual + i);
    if (i && i < length)
        sam_qualities16(out + length - 16, qual + length - 16);
    else
        for (; i < length; i++)
            out[i] = (uint8_t)(qual[i] + 33);
}

/* Copy a text without its NUL, which must be before `end`; return its length, or -1 if there is no NUL. Bytes before
 * `readable` may be read. Up to 15 bytes after the written text may change. */
static inline ptrdiff_t sam_text(uint8_t *out, const uint8_t *text, const uint8_t *end, const uint8_t *readable) {
    const uint8_t *at = text;
#ifdef __SSE2__
    for (; at < end && readable - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        int zeros = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
        _mm_storeu_si128((__m128i *)(out + (at - text)), bytes);
        if (zeros) {
            at += __builtin_ctz((unsigned)zeros);
            return at < end ? at - text : -1;
        }
    }
#endif
    const uint8_t *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
    if (nul == NULL)
        return -1;
    memcpy(out + (at - text), at, (size_t)(nul - at));
    return nul - text;
}
