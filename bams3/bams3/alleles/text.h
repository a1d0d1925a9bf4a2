/* The inner loops of text.pyx, over the bases of one run of a read. */

#include <stdint.h>
#include <string.h>

static uint8_t LETTERS[2][16] = {".ACMGRSVTWYHKDBN", ",acmgrsvtwyhkdbn"};
static uint8_t CODES[256];         /* 4-bit code of each letter of a reference, as in htslib */
static uint16_t PAIRS[2][256];     /* the two letters of each byte of packed bases */

static void fill_letters(void) {
    int i, strand;
    memset(CODES, 15, sizeof CODES);
    for (i = 0; i < 16; i++) {
        CODES[(uint8_t) "=ACMGRSVTWYHKDBN"[i]] = i;
        CODES[(uint8_t) "=acmgrsvtwyhkdbn"[i]] = i;
    }
    CODES['U'] = CODES['u'] = 8;
    for (i = 0; i < 4; i++) CODES['0' + i] = 1 << i;
    for (strand = 0; strand < 2; strand++)
        for (i = 0; i < 256; i++) {
            uint8_t pair[2] = {LETTERS[strand][i >> 4], LETTERS[strand][i & 15]};
            memcpy(&PAIRS[strand][i], pair, 2);
        }
}

/* Count the bases that have the minimum quality. */
static inline void count_bases(uint32_t *restrict count, const uint8_t *restrict quality, int64_t length, int least) {
    for (int64_t k = 0; k < length; k++) count[k] += quality[k] >= least;
}

/* Convert qualities to the characters that are printed, and find which have the minimum quality. */
static inline void grade(const uint8_t *restrict quality, int64_t length, int least, uint8_t *restrict printed,
                         uint8_t *restrict passes) {
    for (int64_t k = 0; k < length; k++) {
        uint8_t q = quality[k];
        printed[k] = (q < 93 ? q : 93) + 33;
        passes[k] = q >= least;
    }
}

static inline void unpack_letters(uint8_t *restrict letters, const uint8_t *restrict packed, int64_t pairs, int strand) {
    for (int64_t k = 0; k < pairs; k++) memcpy(letters + 2 * k, &PAIRS[strand][packed[k]], 2);
}

static inline void mark_agreeing(uint8_t *restrict letters, const uint8_t *restrict reference, int64_t length, int strand) {
    uint8_t lower = strand ? 32 : 0, agrees = LETTERS[strand][0];
    for (int64_t k = 0; k < length; k++) letters[k] = letters[k] == (reference[k] | lower) ? agrees : letters[k];
}

/* Write letters and qualities where the halves of the cursors point to; advance only the cursors of bases that pass. */
static inline void put_bases(uint8_t *restrict out, uint64_t *restrict cursor, const uint8_t *restrict letters,
                             const uint8_t *restrict printed, const uint8_t *restrict passes, int64_t length) {
    for (int64_t k = 0; k < length; k++) {
        uint64_t here = cursor[k];
        out[(uint32_t) here] = letters[k];
        out[here >> 32] = printed[k];
        cursor[k] = here + passes[k] * 0x100000001ULL;
    }
}
