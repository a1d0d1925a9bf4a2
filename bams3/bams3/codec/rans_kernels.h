/* The loops of rANS over interleaved lanes (docs/format.md, "rANS"): in plain C, and for 32 lanes also with AVX2 or
 * AVX-512, if the CPU has them. All produce the same bytes.
 *
 * Lane l of N has the symbols [l S, (l + 1) S) of the data, where S = n / N; the last lane also has the remaining
 * symbols. A state x is in [2^15, 2^31); renormalisation moves 16-bit words. The encoder's table is indexed by
 * context << shift | symbol, the decoder's by context << bits | slot. With order 0, the context is always 0.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RANS_LOW (1u << 15)

/* Entries of the encoder's table are start << 16 | frequency.
 * Those of the decoder's are (frequency - 1) << 20 | (slot - start) << 8 | symbol. */

typedef struct {
    int lanes, order, bits;
    int shift;        /* of the context in an index of the encoder's table */
    uint8_t first;    /* context of a lane's first symbol */
} RansShape;

static inline __attribute__((always_inline)) uint32_t rans_put(uint32_t x, uint32_t entry, int bits, uint8_t **at) {
    uint32_t frequency = entry & 0xFFFF;
    if (x >= frequency << (31 - bits)) {
        uint16_t word = (uint16_t)x;
        *at -= 2;
        memcpy(*at, &word, 2);
        x >>= 16;
    }
    return ((x / frequency) << bits) + x % frequency + (entry >> 16);
}

static inline __attribute__((always_inline)) uint32_t rans_get(uint32_t x, uint32_t entry, int bits, const uint8_t **at, const uint8_t *end, int *whole) {
    x = ((entry >> 20) + 1) * (x >> bits) + (entry >> 8 & 0xFFF);
    if (x < RANS_LOW) {
        uint16_t word = 0;
        if (end - *at >= 2) {
            memcpy(&word, *at, 2);
            *at += 2;
        } else
            *whole = 0;
        x = x << 16 | word;
    }
    return x;
}

static inline uint32_t rans_index(const uint8_t *lane, size_t i, const RansShape *shape) {
    if (!shape->order)
        return lane[i];
    return (uint32_t)(i ? lane[i - 1] : shape->first) << shape->shift | lane[i];
}

/* Steps [from, to) of all lanes, backwards. */
static inline __attribute__((always_inline)) uint8_t *rans_encode_steps(const uint8_t *data, size_t steps, size_t from, size_t to, const uint32_t *table,
                                         const RansShape *shape, int lanes, uint32_t *states, uint8_t *at) {
    for (size_t i = to; i-- > from;)
        for (int l = lanes; l--;)
            states[l] = rans_put(states[l], table[rans_index(data + l * steps, i, shape)], shape->bits, &at);
    return at;
}

static inline __attribute__((always_inline)) int rans_decode_steps(uint8_t *data, size_t steps, size_t from, size_t to, const uint32_t *table,
                                    const RansShape *shape, int lanes, uint32_t *states, const uint8_t **at, const uint8_t *end) {
    uint32_t mask = (1u << shape->bits) - 1;
    int whole = 1;
    for (size_t i = from; i < to && whole; i++)
        for (int l = 0; l < lanes; l++) {
            uint8_t *out = data + l * steps + i;
            uint32_t context = !shape->order ? 0 : i ? out[-1] : shape->first;
            uint32_t entry = table[context << shape->bits | (states[l] & mask)];
            *out = (uint8_t)entry;
            states[l] = rans_get(states[l], entry, shape->bits, at, end, &whole);
        }
    return whole;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt")))
#define RANS_TILE 32 /* steps that are transposed together */
/* Each step loads up to 64 bytes of words, the last one 16 more than it uses. */
#define RANS_TILE_READS (RANS_TILE * 64 + 16)

static uint8_t rans_spread[256][8]; /* index of the word for each lane whose bit is set: number of set bits below it */
static uint8_t rans_gather[256][8]; /* the lanes whose bits are set, in order, at the end of the row */

static void rans_init(void) {
    for (int mask = 0; mask < 256; mask++) {
        int below = 0, to = 8 - __builtin_popcount(mask);
        for (int l = 0; l < 8; l++) {
            rans_spread[mask][l] = (uint8_t)below;
            if (mask >> l & 1) {
                below++;
                rans_gather[mask][to++] = (uint8_t)l;
            }
        }
    }
}

/* Transpose 16 rows of 16 bytes; row i is at from + i from_stride. */
AVX2 static inline void rans_transpose16(const uint8_t *from, size_t from_stride, uint8_t *to, size_t to_stride) {
    __m128i a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = _mm_loadu_si128((const __m128i *)(from + i * from_stride));
    for (int stage = 0; stage < 4; stage++) {
        for (int i = 0; i < 8; i++) {
            b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
            b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < 16; i++)
        _mm_storeu_si128((__m128i *)(to + i * to_stride), a[i]);
}

AVX2 static inline void rans_transpose32(const uint8_t *from, size_t from_stride, uint8_t *to, size_t to_stride) {
    for (int i = 0; i < 32; i += 16)
        for (int j = 0; j < 32; j += 16)
            rans_transpose16(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
}

/* The entries of eight lanes. Gather instructions take longer on most CPUs than these eight loads. */
AVX2 static inline __attribute__((always_inline)) __m256i rans_entries(const uint32_t *table, __m256i index) {
    uint32_t i[8] __attribute__((aligned(32)));
    __m128i e[8];
    _mm256_store_si256((__m256i *)i, index);
    for (int l = 0; l < 8; l++)
        e[l] = _mm_cvtsi32_si128((int)table[i[l]]);
    __m128i low = _mm_unpacklo_epi64(_mm_unpacklo_epi32(e[0], e[1]), _mm_unpacklo_epi32(e[2], e[3]));
    __m128i high = _mm_unpacklo_epi64(_mm_unpacklo_epi32(e[4], e[5]), _mm_unpacklo_epi32(e[6], e[7]));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

AVX2 static inline __m256i rans_bytes(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }

AVX2 static inline __attribute__((always_inline)) uint8_t *rans_encode_tiles_of(
    const uint8_t *data, size_t steps, size_t to, const uint32_t *table, const RansShape *shape, int order, uint32_t *states,
    uint8_t *at) {
    uint8_t tile[RANS_TILE + 1][32]; /* row 0: the previous symbols */
    __m256i x[4];
    const __m256i low16 = _mm256_set1_epi32(0xFFFF), one = _mm256_set1_epi32(1);
    const __m128i shift = _mm_cvtsi32_si128(shape->shift), bits = _mm_cvtsi32_si128(shape->bits), room = _mm_cvtsi32_si128(31 - shape->bits);
    for (int v = 0; v < 4; v++)
        x[v] = _mm256_loadu_si256((const __m256i *)(states + 8 * v));
    for (; to; to -= RANS_TILE) {
        size_t from = to - RANS_TILE;
        rans_transpose32(data + from, steps, tile[1], 32);
        for (int l = 0; l < 32; l++)
            tile[0][l] = from ? data[l * steps + from - 1] : shape->first;
        for (int i = RANS_TILE; i; i--)
            for (int v = 3; v >= 0; v--) {
                __m256i index = rans_bytes(tile[i] + 8 * v);
                if (order)
                    index = _mm256_or_si256(index, _mm256_sll_epi32(rans_bytes(tile[i - 1] + 8 * v), shift));
                __m256i entry = rans_entries(table, index);
                __m256i frequency = _mm256_and_si256(entry, low16), start = _mm256_srli_epi32(entry, 16);
                __m256i full = _mm256_cmpgt_epi32(x[v], _mm256_sub_epi32(_mm256_sll_epi32(frequency, room), one));
                int mask = _mm256_movemask_ps(_mm256_castsi256_ps(full));
                __m256i words = _mm256_permutevar8x32_epi32(_mm256_and_si256(x[v], low16), rans_bytes(rans_gather[mask]));
                _mm_storeu_si128((__m128i *)(at - 16), _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
                at -= 2 * __builtin_popcount(mask);
                __m256i y = _mm256_blendv_epi8(x[v], _mm256_srli_epi32(x[v], 16), full);
                /* The quotient is below 2^21, so computed as a float it is off by one at most. */
                __m256i q = _mm256_cvttps_epi32(_mm256_div_ps(_mm256_cvtepi32_ps(y), _mm256_cvtepi32_ps(frequency)));
                __m256i r = _mm256_sub_epi32(y, _mm256_mullo_epi32(q, frequency));
                __m256i below = _mm256_srai_epi32(r, 31);
                q = _mm256_add_epi32(q, below);
                r = _mm256_add_epi32(r, _mm256_and_si256(below, frequency));
                __m256i fits = _mm256_cmpgt_epi32(frequency, r);
                q = _mm256_add_epi32(q, _mm256_add_epi32(fits, one));
                r = _mm256_sub_epi32(r, _mm256_andnot_si256(fits, frequency));
                x[v] = _mm256_add_epi32(_mm256_sll_epi32(q, bits), _mm256_add_epi32(r, start));
            }
    }
    for (int v = 0; v < 4; v++)
        _mm256_storeu_si256((__m256i *)(states + 8 * v), x[v]);
    return at;
}

/* Encode whole tiles of 32 lanes, backwards from step `to`, which is a multiple of RANS_TILE. */
AVX2 static uint8_t *rans_encode_tiles(const uint8_t *data, size_t steps, size_t to, const uint32_t *table, const RansShape *shape,
                                       uint32_t *states, uint8_t *at) {
    return shape->order ? rans_encode_tiles_of(data, steps, to, table, shape, 1, states, at)
                        : rans_encode_tiles_of(data, steps, to, table, shape, 0, states, at);
}

/* Decode whole tiles of 32 lanes from step 0 on, up to the first one that needs more words than are left; returns the
 * number of steps. A tile reads up to RANS_TILE_READS bytes; if fewer are left, it reads a padded copy of them. */
AVX2 static size_t rans_decode_tiles(uint8_t *data, size_t steps, const uint32_t *table, const RansShape *shape, uint32_t *states,
                                     const uint8_t **from, const uint8_t *end) {
    uint8_t tile[RANS_TILE][32], rest[RANS_TILE_READS];
    __m256i x[4], context[4];
    const __m256i mask12 = _mm256_set1_epi32(0xFFF), slots = _mm256_set1_epi32((1 << shape->bits) - 1);
    const __m256i symbols = _mm256_set1_epi32(shape->order ? 0xFF : 0), low = _mm256_set1_epi32(RANS_LOW), byte = _mm256_set1_epi32(0xFF);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m128i bits = _mm_cvtsi32_si128(shape->bits);
    const uint8_t *at = *from;
    size_t i = 0, left;
    for (int v = 0; v < 4; v++) {
        x[v] = _mm256_loadu_si256((const __m256i *)(states + 8 * v));
        context[v] = _mm256_set1_epi32(shape->order ? shape->first << shape->bits : 0);
    }
    for (; i + RANS_TILE <= steps; i += RANS_TILE) {
        left = (size_t)(end - *from);
        at = *from;
        if (left < RANS_TILE_READS) {
            memcpy(rest, at, left);
            memset(rest + left, 0, RANS_TILE_READS - left);
            at = rest;
        }
        for (int j = 0; j < RANS_TILE; j++) {
            __m256i entry[4];
            for (int v = 0; v < 4; v++) {
                entry[v] = rans_entries(table, _mm256_or_si256(context[v], _mm256_and_si256(x[v], slots)));
                __m256i high = _mm256_srl_epi32(x[v], bits);
                __m256i y = _mm256_mullo_epi32(_mm256_srli_epi32(entry[v], 20), high);
                y = _mm256_add_epi32(y, _mm256_add_epi32(high, _mm256_and_si256(_mm256_srli_epi32(entry[v], 8), mask12)));
                __m256i few = _mm256_cmpgt_epi32(low, y);
                int mask = _mm256_movemask_ps(_mm256_castsi256_ps(few));
                __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at));
                words = _mm256_permutevar8x32_epi32(words, rans_bytes(rans_spread[mask]));
                at += 2 * __builtin_popcount(mask);
                x[v] = _mm256_blendv_epi8(y, _mm256_or_si256(_mm256_slli_epi32(y, 16), words), few);
                context[v] = _mm256_sll_epi32(_mm256_and_si256(entry[v], symbols), bits);
                entry[v] = _mm256_and_si256(entry[v], byte);
            }
            __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(entry[0], entry[1]), _mm256_packus_epi32(entry[2], entry[3]));
            _mm256_storeu_si256((__m256i *)tile[j], _mm256_permutevar8x32_epi32(packed, order));
        }
        size_t used = (size_t)(at - (left < RANS_TILE_READS ? rest : *from));
        if (used > left)
            break;
        *from += used;
        for (int v = 0; v < 4; v++)
            _mm256_storeu_si256((__m256i *)(states + 8 * v), x[v]);
        rans_transpose32(tile[0], 32, data + i, steps);
    }
    return i;
}

/* The same with AVX-512: two vectors of 16 lanes, and instructions that spread and gather words. */
#define AVX512 __attribute__((target("avx512f,avx2,popcnt")))

AVX512 static inline __attribute__((always_inline)) __m512i rans_entries16(const uint32_t *table, __m512i index) {
    return _mm512_i32gather_epi32(index, table, 4);
}

AVX512 static inline __m512i rans_bytes16(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }

AVX512 static inline __attribute__((always_inline)) uint8_t *rans_encode_wide_of(
    const uint8_t *data, size_t steps, size_t to, const uint32_t *table, const RansShape *shape, int order, uint32_t *states,
    uint8_t *at) {
    uint8_t tile[RANS_TILE + 1][32]; /* row 0: the previous symbols */
    __m512i x[2] = {_mm512_loadu_si512(states), _mm512_loadu_si512(states + 16)};
    const __m512i low16 = _mm512_set1_epi32(0xFFFF), one = _mm512_set1_epi32(1);
    const __m128i shift = _mm_cvtsi32_si128(shape->shift), bits = _mm_cvtsi32_si128(shape->bits), room = _mm_cvtsi32_si128(31 - shape->bits);
    for (; to; to -= RANS_TILE) {
        size_t from = to - RANS_TILE;
        rans_transpose32(data + from, steps, tile[1], 32);
        for (int l = 0; l < 32; l++)
            tile[0][l] = from ? data[l * steps + from - 1] : shape->first;
        for (int i = RANS_TILE; i; i--)
            for (int v = 1; v >= 0; v--) {
                __m512i index = rans_bytes16(tile[i] + 16 * v);
                if (order)
                    index = _mm512_or_si512(index, _mm512_sll_epi32(rans_bytes16(tile[i - 1] + 16 * v), shift));
                __m512i entry = rans_entries16(table, index);
                __m512i frequency = _mm512_and_si512(entry, low16), start = _mm512_srli_epi32(entry, 16);
                __mmask16 full = _mm512_cmpge_epu32_mask(x[v], _mm512_sll_epi32(frequency, room));
                int count = __builtin_popcount(full);
                __m512i words = _mm512_maskz_expand_epi32((__mmask16)(0xFFFF0000 >> count), _mm512_maskz_compress_epi32(full, x[v]));
                _mm256_storeu_si256((__m256i *)(at - 32), _mm512_cvtepi32_epi16(words));
                at -= 2 * count;
                __m512i y = _mm512_mask_srli_epi32(x[v], full, x[v], 16);
                /* The quotient is below 2^21, so computed as a float it is off by one at most. */
                __m512i q = _mm512_cvttps_epi32(_mm512_div_ps(_mm512_cvtepi32_ps(y), _mm512_cvtepi32_ps(frequency)));
                __m512i r = _mm512_sub_epi32(y, _mm512_mullo_epi32(q, frequency));
                __mmask16 below = _mm512_cmplt_epi32_mask(r, _mm512_setzero_si512());
                q = _mm512_mask_sub_epi32(q, below, q, one);
                r = _mm512_mask_add_epi32(r, below, r, frequency);
                __mmask16 above = _mm512_cmpge_epi32_mask(r, frequency);
                q = _mm512_mask_add_epi32(q, above, q, one);
                r = _mm512_mask_sub_epi32(r, above, r, frequency);
                x[v] = _mm512_add_epi32(_mm512_sll_epi32(q, bits), _mm512_add_epi32(r, start));
            }
    }
    _mm512_storeu_si512(states, x[0]);
    _mm512_storeu_si512(states + 16, x[1]);
    return at;
}

AVX512 static uint8_t *rans_encode_wide(const uint8_t *data, size_t steps, size_t to, const uint32_t *table, const RansShape *shape,
                                        uint32_t *states, uint8_t *at) {
    return shape->order ? rans_encode_wide_of(data, steps, to, table, shape, 1, states, at)
                        : rans_encode_wide_of(data, steps, to, table, shape, 0, states, at);
}

AVX512 static size_t rans_decode_wide(uint8_t *data, size_t steps, const uint32_t *table, const RansShape *shape, uint32_t *states,
                                      const uint8_t **from, const uint8_t *end) {
    uint8_t tile[RANS_TILE][32], rest[RANS_TILE_READS];
    __m512i x[2] = {_mm512_loadu_si512(states), _mm512_loadu_si512(states + 16)};
    const __m512i first = _mm512_set1_epi32(shape->order ? shape->first << shape->bits : 0);
    __m512i context[2] = {first, first};
    const __m512i mask12 = _mm512_set1_epi32(0xFFF), slots = _mm512_set1_epi32((1 << shape->bits) - 1);
    const __m512i symbols = _mm512_set1_epi32(shape->order ? 0xFF : 0), low = _mm512_set1_epi32(RANS_LOW);
    const __m128i bits = _mm_cvtsi32_si128(shape->bits);
    const uint8_t *at = *from;
    size_t i = 0, left;
    for (; i + RANS_TILE <= steps; i += RANS_TILE) {
        left = (size_t)(end - *from);
        at = *from;
        if (left < RANS_TILE_READS) {
            memcpy(rest, at, left);
            memset(rest + left, 0, RANS_TILE_READS - left);
            at = rest;
        }
        for (int j = 0; j < RANS_TILE; j++)
            for (int v = 0; v < 2; v++) {
                __m512i entry = rans_entries16(table, _mm512_or_si512(context[v], _mm512_and_si512(x[v], slots)));
                __m512i high = _mm512_srl_epi32(x[v], bits);
                __m512i y = _mm512_mullo_epi32(_mm512_srli_epi32(entry, 20), high);
                y = _mm512_add_epi32(y, _mm512_add_epi32(high, _mm512_and_si512(_mm512_srli_epi32(entry, 8), mask12)));
                __mmask16 few = _mm512_cmplt_epu32_mask(y, low);
                __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at));
                at += 2 * __builtin_popcount(few);
                words = _mm512_maskz_expand_epi32(few, words);
                x[v] = _mm512_or_si512(_mm512_mask_slli_epi32(y, few, y, 16), words);
                context[v] = _mm512_sll_epi32(_mm512_and_si512(entry, symbols), bits);
                _mm_storeu_si128((__m128i *)(tile[j] + 16 * v), _mm512_cvtepi32_epi8(entry));
            }
        size_t used = (size_t)(at - (left < RANS_TILE_READS ? rest : *from));
        if (used > left)
            break;
        *from += used;
        _mm512_storeu_si512(states, x[0]);
        _mm512_storeu_si512(states + 16, x[1]);
        rans_transpose32(tile[0], 32, data + i, steps);
    }
    return i;
}

/* The widest tiles that the CPU supports: 0 for none, 1 with AVX2, 2 with AVX-512. */
static int rans_widest_tiles(void) {
    return !__builtin_cpu_supports("avx2") ? 0 : __builtin_cpu_supports("avx512f") ? 2 : 1;
}
#else
static void rans_init(void) {}
static int rans_widest_tiles(void) { return 0; }
static uint8_t *rans_encode_tiles(const uint8_t *data, size_t steps, size_t to, const uint32_t *table, const RansShape *shape,
                                  uint32_t *states, uint8_t *at) { return at; }
static size_t rans_decode_tiles(uint8_t *data, size_t steps, const uint32_t *table, const RansShape *shape, uint32_t *states,
                                const uint8_t **from, const uint8_t *end) { return 0; }
#define rans_encode_wide rans_encode_tiles
#define rans_decode_wide rans_decode_tiles
#define RANS_TILE 1
#endif

/* Encode n symbols backwards from `at`, before which 2 n + 32 bytes must be free. Returns where the words start. */
static uint8_t *rans_encode_lanes(const uint8_t *data, size_t n, const uint32_t *table, const RansShape *shape, int tiles,
                                  uint32_t *states, uint8_t *at) {
    int lanes = shape->lanes, last = lanes - 1;
    size_t steps = n / lanes, tiled = lanes == 32 && tiles ? steps / RANS_TILE * RANS_TILE : 0;
    for (int l = 0; l < lanes; l++)
        states[l] = RANS_LOW;
    for (size_t i = n - last * steps; i-- > steps;)
        states[last] = rans_put(states[last], table[rans_index(data + last * steps, i, shape)], shape->bits, &at);
    if (lanes == 32) {
        at = rans_encode_steps(data, steps, tiled, steps, table, shape, 32, states, at);
        return !tiled ? at : (tiles == 2 ? rans_encode_wide : rans_encode_tiles)(data, steps, tiled, table, shape, states, at);
    }
    return lanes == 4 ? rans_encode_steps(data, steps, 0, steps, table, shape, 4, states, at)
                      : rans_encode_steps(data, steps, 0, steps, table, shape, 1, states, at);
}

/* Decode n symbols. Returns 0 if there are too few or too many words, or if a final state is not an encoder's initial
 * one. */
static int rans_decode_lanes(uint8_t *data, size_t n, const uint32_t *table, const RansShape *shape, int tiles, uint32_t *states,
                             const uint8_t *at, const uint8_t *end) {
    int lanes = shape->lanes, last = lanes - 1, whole;
    size_t steps = n / lanes, done = 0;
    if (lanes == 32) {
        if (tiles)
            done = (tiles == 2 ? rans_decode_wide : rans_decode_tiles)(data, steps, table, shape, states, &at, end);
        whole = rans_decode_steps(data, steps, done, steps, table, shape, 32, states, &at, end);
    } else if (lanes == 4)
        whole = rans_decode_steps(data, steps, 0, steps, table, shape, 4, states, &at, end);
    else
        whole = rans_decode_steps(data, steps, 0, steps, table, shape, 1, states, &at, end);
    if (whole)
        whole = rans_decode_steps(data + last * steps, 0, steps, n - last * steps, table, shape, 1, states + last, &at, end);
    for (int l = 0; l < lanes; l++)
        whole &= states[l] == RANS_LOW;
    return whole && at == end;
}
