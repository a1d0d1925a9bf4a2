/* The inner loop of mixed bits (docs/format.md, "Mixed bits"), in C so that it is unrolled: `inputs` is a constant. */

#include <stdint.h>

#define BAMS3_STEADY 255          /* after n bits a prediction moves by 1/(n + 1.6) of the way; n stops growing here */
#define BAMS3_ONE (1 << 22)       /* a probability of 1 in a prediction */
#define BAMS3_DOMAIN (11 << 8)    /* range of stretched probabilities, in units of 1/256 */
#define BAMS3_MAX_INPUTS 8

typedef struct {
    int32_t stretched[4096];                  /* ln(p / (1 - p)), by p in units of 1/4096 */
    uint16_t squashed[2 * BAMS3_DOMAIN + 1];  /* its inverse, in 1/65536 */
    int32_t step[BAMS3_STEADY + 1];           /* in 1/65536 */
} bams3_tables;

/* Update a prediction after a bit. A prediction is the probability of a 0, in units of 1/2^22, times 1024, plus the
   number of bits that it has seen. */
static inline uint32_t bams3_adapt(const bams3_tables *tables, uint32_t prediction, int bit) {
    uint32_t seen = prediction & 1023;
    int32_t p = prediction >> 10;
    p += (int32_t) (((int64_t) (((BAMS3_ONE - 1) & (bit - 1)) - p) * tables->step[seen]) >> 16);
    return (uint32_t) p << 10 | (seen + (seen < BAMS3_STEADY));
}

/* The probability of a 0, in 1/65536, according to the predictions at `node`; these are put into `s`, stretched. */
static inline __attribute__((always_inline)) int32_t bams3_mix(
    const bams3_tables *tables, uint32_t *const *predictions, int inputs, int node, const int32_t *weights, int32_t *s
) {
    int64_t sum = 0;
#pragma GCC unroll 8
    for (int k = 0; k < inputs; k++) {
        s[k] = tables->stretched[predictions[k][node] >> 20];
        sum += (int64_t) weights[k] * s[k];
    }
    sum >>= 16;
    sum = sum > BAMS3_DOMAIN ? BAMS3_DOMAIN : sum < -BAMS3_DOMAIN ? -BAMS3_DOMAIN : sum;
    return tables->squashed[sum + BAMS3_DOMAIN];
}

/* Learn from a bit that was predicted to be 0 with this probability. The weights move by the error times 2^-rate; they
   may wrap around. */
static inline __attribute__((always_inline)) void bams3_learn(
    const bams3_tables *tables, uint32_t *const *predictions, int inputs, int node, int32_t *weights, const int32_t *s,
    int rate, int32_t probability, int bit
) {
    int32_t error = (65535 & (bit - 1)) - probability;
#pragma GCC unroll 8
    for (int k = 0; k < inputs; k++) {
        predictions[k][node] = bams3_adapt(tables, predictions[k][node], bit);
        weights[k] = (int32_t) ((uint32_t) weights[k] + (uint32_t) ((error * s[k] + (1 << (rate - 1))) >> rate));
    }
}
