/* CRC-32, and the text of bases and qualities that it is computed of: in plain C, and with SSSE3 and PCLMULQDQ if the
 * CPU has them. The results are the same.
 *
 * CRCs here are states: the complement of what zlib returns. Folding is from Gopal et al., "Fast CRC Computation for
 * Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CRC_LEAST 16  /* bytes from which folding is worthwhile */
#define CRC_BEFORE 32 /* bytes before a text that may be overwritten */
#define CRC_BEHIND 32 /* bytes after a text that may be overwritten */
#define CRC_PORTION 4096 /* bases of a long read that are converted to text at a time; an even number */
#define CRC_ROOM (CRC_BEFORE + CRC_PORTION + CRC_BEHIND)

static const char crc_letters[2][17] = {"=ACMGRSVTWYHKDBN", "=TGKCYSBAWRDMHVN"}; /* of bases, of their complements */
static uint32_t crc_table[16][256]; /* [k][b]: contribution of byte b to the CRC if k bytes follow it */
static int crc_can_fold;

static inline uint32_t crc_byte(uint32_t crc, uint8_t byte) { return crc >> 8 ^ crc_table[0][(crc ^ byte) & 255]; }

/* The contribution of a CRC so far to the CRC after 1 to 16 more bytes. */
static inline uint32_t crc_shifted(uint32_t crc, size_t bytes) {
    if (bytes >= 4)
        return crc_table[bytes - 1][crc & 255] ^ crc_table[bytes - 2][crc >> 8 & 255] ^ crc_table[bytes - 3][crc >> 16 & 255] ^
               crc_table[bytes - 4][crc >> 24];
    while (bytes--)
        crc = crc_byte(crc, 0);
    return crc;
}

/* The CRC after some bytes, computed with tables. */
static inline uint32_t crc_bytes(uint32_t crc, const uint8_t *p, size_t size) {
    uint32_t added;
    for (; size >= 16; size -= 16, p += 16) {
        added = 0;
        for (int k = 0; k < 16; k++)
            added ^= crc_table[15 - k][p[k]];
        crc = crc_shifted(crc, 16) ^ added;
    }
    added = 0;
    for (size_t k = 0; k < size; k++)
        added ^= crc_table[size - 1 - k][p[k]];
    return crc_shifted(crc, size) ^ added;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define CRC_FAST __attribute__((target("ssse3,sse4.1,pclmul")))

CRC_FAST static inline __m128i crc_step(__m128i x, __m128i by, __m128i more) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), more);
}

#define CRC_BY16 _mm_set_epi64x(0x00ccaa009e, 0x01751997d0)

/* The CRC after 16 bytes, to which the CRC before them has been added. */
CRC_FAST static inline uint32_t crc_reduced(__m128i x) {
    const __m128i by8 = _mm_set_epi64x(0, 0x0163cd6124), barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low = _mm_setr_epi32(-1, 0, -1, 0);
    x = _mm_xor_si128(_mm_srli_si128(x, 8), _mm_clmulepi64_si128(x, CRC_BY16, 0x10));
    x = _mm_xor_si128(_mm_srli_si128(x, 4), _mm_clmulepi64_si128(_mm_and_si128(x, low), by8, 0x00));
    __m128i q = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(x, low), barrett, 0x10), low);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(x, _mm_clmulepi64_si128(q, barrett, 0x00)), 1);
}

/* Shuffles that move 16 bytes: read from 16 - n on, by n bytes towards the end; read from 32 - n on, by 16 - n bytes
 * towards the start. */
static const int8_t crc_moves[48] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,  1,  2,  3,  4,  5,  6,  7,
    8,  9,  10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};

/* The CRC after CRC_LEAST or more bytes, computed by folding blocks of 16. Zeros before the bytes complete the first
 * block: they change nothing. If `size` is not a multiple of 16, up to 15 bytes before `p` are read, but they don't
 * matter. */
CRC_FAST static uint32_t crc_folded(uint32_t crc, const uint8_t *p, size_t size) {
    const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), by16 = CRC_BY16;
    const size_t zeros = -size & 15;
    const __m128i *in = (const __m128i *)(p - zeros), *end = (const __m128i *)(p + size);
    const __m128i before = _mm_cvtsi32_si128((int)crc);
    const __m128i moved = _mm_loadu_si128((const __m128i *)(crc_moves + 16 - zeros));
    const __m128i rest = _mm_shuffle_epi8(before, _mm_loadu_si128((const __m128i *)(crc_moves + 32 - zeros)));
    __m128i x = _mm_andnot_si128(_mm_cmplt_epi8(moved, _mm_setzero_si128()), _mm_loadu_si128(in++));
    x = _mm_xor_si128(x, _mm_shuffle_epi8(before, moved));
    if (end - in >= 7) {
        __m128i y[3];
        for (int k = 0; k < 3; k++)
            y[k] = _mm_loadu_si128(in++);
        y[0] = _mm_xor_si128(y[0], rest);
        for (; end - in >= 4; in += 4) {
            x = crc_step(x, by64, _mm_loadu_si128(in));
            for (int k = 0; k < 3; k++)
                y[k] = crc_step(y[k], by64, _mm_loadu_si128(in + 1 + k));
        }
        for (int k = 0; k < 3; k++)
            x = crc_step(x, by16, y[k]);
    } else if (in < end) {
        x = crc_step(x, by16, _mm_xor_si128(_mm_loadu_si128(in++), rest));
    }
    while (in < end)
        x = crc_step(x, by16, _mm_loadu_si128(in++));
    return crc_reduced(x);
}

/* The contribution of a CRC so far to the CRC after more bytes: its product with what `crc_power` returns. */
CRC_FAST static uint32_t crc_product(uint32_t crc, uint32_t power) {
    __m128i both = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)power), 0x00);
    return crc_reduced(_mm_slli_si128(both, 8));
}

CRC_FAST static inline __m128i crc_backwards(__m128i x) {
    return _mm_shuffle_epi8(x, _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

/* `crc_bases` for at least CRC_LEAST bases; reads up to 15 bytes after them, which are qualities. */
CRC_FAST static void crc_bases_fast(const uint8_t *packed, size_t count, int turned, uint8_t *text) {
    const __m128i table = _mm_loadu_si128((const __m128i *)crc_letters[turned]), half = _mm_set1_epi8(15);
    for (size_t i = 0; i < count; i += 32) {
        __m128i two = _mm_loadu_si128((const __m128i *)(packed + i / 2));
        __m128i high = _mm_and_si128(_mm_srli_epi16(two, 4), half), low = _mm_and_si128(two, half);
        __m128i a = _mm_shuffle_epi8(table, _mm_unpacklo_epi8(high, low));
        __m128i b = _mm_shuffle_epi8(table, _mm_unpackhi_epi8(high, low));
        if (turned) {
            _mm_storeu_si128((__m128i *)(text + count - i - 16), crc_backwards(a));
            _mm_storeu_si128((__m128i *)(text + count - i - 32), crc_backwards(b));
        } else {
            _mm_storeu_si128((__m128i *)(text + i), a);
            _mm_storeu_si128((__m128i *)(text + i + 16), b);
        }
    }
}

/* `crc_qualities` for at least CRC_LEAST qualities. */
CRC_FAST static void crc_qualities_fast(const uint8_t *qual, size_t count, int turned, uint8_t *text) {
    const __m128i offset = _mm_set1_epi8(33);
    for (size_t i = 0; i < count; i += 16) {
        size_t at = i + 16 <= count ? i : count - 16;
        __m128i x = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(qual + at)), offset);
        if (turned)
            _mm_storeu_si128((__m128i *)(text + count - at - 16), crc_backwards(x));
        else
            _mm_storeu_si128((__m128i *)(text + at), x);
    }
}

static int crc_cpu_can_fold(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }
#else
static uint32_t crc_folded(uint32_t crc, const uint8_t *p, size_t size) { return (void)p, (void)size, crc; }
static uint32_t crc_product(uint32_t crc, uint32_t power) { return (void)power, crc; }
static void crc_bases_fast(const uint8_t *packed, size_t count, int turned, uint8_t *text) { (void)packed, (void)count, (void)turned, (void)text; }
static void crc_qualities_fast(const uint8_t *qual, size_t count, int turned, uint8_t *text) { (void)qual, (void)count, (void)turned, (void)text; }
static int crc_cpu_can_fold(void) { return 0; }
#endif

/* Choose whether to use folding if the CPU supports it; returns whether it is used now. */
static int crc_use_folding(int wanted) { return crc_can_fold = wanted && crc_cpu_can_fold(); }

static void crc_init(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
        crc_table[0][byte] = crc;
        for (int k = 1; k < 16; k++)
            crc_table[k][byte] = 0;
    }
    for (int k = 1; k < 16; k++)
        for (int byte = 0; byte < 256; byte++)
            crc_table[k][byte] = crc_table[k - 1][byte] >> 8 ^ crc_table[0][crc_table[k - 1][byte] & 255];
    crc_use_folding(1);
}

/* The CRC after some bytes. */
static inline uint32_t crc_after(uint32_t crc, const uint8_t *p, size_t size) {
    if (!crc_can_fold || size < CRC_LEAST)
        return crc_bytes(crc, p, size);
    crc = crc_folded(crc, p, size & ~(size_t)15);
    return crc_bytes(crc, p + (size & ~(size_t)15), size & 15);
}

/* The CRC after a text, before which 15 bytes may be read. */
static inline uint32_t crc_after_text(uint32_t crc, const uint8_t *text, size_t size) {
    return crc_can_fold && size >= CRC_LEAST ? crc_folded(crc, text, size) : crc_bytes(crc, text, size);
}

/* x^(8 size - 33), for `crc_product`; `size` is from CRC_LEAST to CRC_PORTION. */
static inline uint32_t crc_power(size_t size) {
    static const uint8_t zeros[CRC_PORTION];
    return crc_after(1u << 24, zeros, size - 5);
}

/* Two CRCs after the same text. Their difference after it follows from that before it. `size_before` and `power` are
 * those of the last text, and are updated. */
static inline void crc_after_texts(
    uint32_t crc[2], const uint8_t *text, size_t size, size_t *size_before, uint32_t *power
) {
    if (!crc_can_fold || size < CRC_LEAST) {
        crc[0] = crc_bytes(crc[0], text, size);
        crc[1] = crc_bytes(crc[1], text, size);
        return;
    }
    if (size != *size_before) {
        *size_before = size;
        *power = crc_power(size);
    }
    uint32_t difference = crc[0] ^ crc[1];
    crc[0] = crc_folded(crc[0], text, size);
    crc[1] = crc[0] ^ crc_product(difference, *power);
}

/* Write the letters of packed bases; if `turned`, those of the reverse complement. */
static inline void crc_bases(const uint8_t *packed, size_t count, int turned, uint8_t *text) {
    if (crc_can_fold && count >= CRC_LEAST) {
        crc_bases_fast(packed, count, turned, text);
        return;
    }
    for (size_t i = 0; i < count; i++)
        text[turned ? count - 1 - i : i] = (uint8_t)crc_letters[turned][i & 1 ? packed[i / 2] & 15 : packed[i / 2] >> 4];
}

/* Write qualities as in SAM; if `turned`, in reverse order. */
static inline void crc_qualities(const uint8_t *qual, size_t count, int turned, uint8_t *text) {
    if (crc_can_fold && count >= CRC_LEAST) {
        crc_qualities_fast(qual, count, turned, text);
        return;
    }
    for (size_t i = 0; i < count; i++)
        text[turned ? count - 1 - i : i] = (uint8_t)(qual[i] + 33);
}
