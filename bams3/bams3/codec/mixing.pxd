# Mixes several adaptive predictions of each bit (docs/format.md, "Mixed bits"), for the models of qualities and of
# bytes. The inner loop is in `mixing.h`; trees and tables are in `mixing.pyx`.
#
# Each prediction uses a different context. The predictions are mixed in the logistic domain with adaptive weights
# (Mahoney, Adaptive weighing of context models for lossless data compression, 2005), and the range coder codes the bit
# with the resulting probability. All arithmetic is on integers, so results are the same on every machine.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.range_coder cimport RangeCoder, code_split

cdef extern from "bams3/codec/mixing.h":
    enum:
        STEADY "BAMS3_STEADY"
        ONE "BAMS3_ONE"
        DOMAIN "BAMS3_DOMAIN"
        MAX_INPUTS "BAMS3_MAX_INPUTS"
    ctypedef struct Tables "bams3_tables":
        int32_t stretched[4096]
        uint16_t squashed[1]
        int32_t step[1]
    uint32_t adapt "bams3_adapt" (const Tables *tables, uint32_t prediction, int bit) noexcept nogil
    int32_t mix "bams3_mix" (
        const Tables *tables, uint32_t **predictions, int inputs, int node, const int32_t *weights, int32_t *s
    ) noexcept nogil
    void learn "bams3_learn" (
        const Tables *tables, uint32_t **predictions, int inputs, int node, int32_t *weights, const int32_t *s,
        int rate, int32_t probability, int bit
    ) noexcept nogil

cdef enum:
    MAX_VALUES = 256
    MOST_BITS = 17  # bits that coding one bit can take


# A binary search tree of the values [0, values). An inner node is the smallest value on its right.
cdef struct Tree:
    int values, root, depth
    uint8_t below[MAX_VALUES][2]  # left and right child; 0: it is a leaf, `node - 1` on the left, `node` on the right


cdef const Tables *the_tables() noexcept nogil
cdef int plant(Tree *tree, int values, const size_t *counts, Buffer out) except -1
cdef int replant(Tree *tree, int values, const uint8_t *nodes) noexcept nogil
cdef uint32_t *new_predictions(size_t count) except NULL nogil
cdef int32_t *new_weights(size_t count, int32_t weight) except NULL nogil


cdef inline int code_mixed(
    RangeCoder *coder, const Tables *tables, uint32_t **predictions, int inputs, int node, int32_t *weights, int rate,
    int bit,
) noexcept nogil:
    """Code a bit, predicted by the ``node``-th entry of each of ``inputs`` arrays (a constant). The weights, one per
    input, move by the error times 2^-rate."""
    cdef int32_t s[MAX_INPUTS]
    cdef int32_t probability = mix(tables, predictions, inputs, node, weights, s)
    bit = code_split(coder, (coder.width >> 16) * <uint32_t> probability, bit)
    learn(tables, predictions, inputs, node, weights, s, rate, probability, bit)
    return bit


cdef inline int code_index(
    RangeCoder *coder, const Tables *tables, const Tree *tree, uint32_t **predictions, int inputs, int32_t *weights,
    int rate, int index,
) noexcept nogil:
    """Encode an index of the tree's values, or decode and return it: one bit at each node, from the root to a leaf.
    ``weights`` points to those of node 0; each node has ``inputs`` weights."""
    cdef int node = tree.root, bit
    while True:
        bit = code_mixed(coder, tables, predictions, inputs, node, weights + inputs * node, rate, index >= node)
        if tree.below[node][bit] == 0:
            return node - 1 + bit
        node = tree.below[node][bit]
