# The contexts in which kinetics are coded (docs/format.md, "Kinetics"). Everything here is inline and nogil.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from bams3.codec.range_coder cimport RangeCoder, code_number, code_tree, reset

cdef enum:
    MOST_VALUES = 256
    PENTAMERS = 1 << 10
    PARTS = 16      # number of ranks, of levels of the mean, and of classes of either kind at most
    SLOWNESS = 5    # the mean moves by 1/2^this
    RATE = 4        # adaptation rate of the probabilities of classes
    HALF = 1 << 15  # initial mean
    SHIFT = 12      # the level is the highest 4 bits of the mean


cdef struct Contexts:
    int values, paces          # the number of classes of the mean
    int against                # whether the arrays run opposite to the order of sequencing
    int ahead                  # how many of the five bases are met after this one
    uint8_t rank[MOST_VALUES]  # of an index
    uint8_t pace[PARTS]        # the class of a level of the mean
    uint8_t kind[PENTAMERS]    # the class of five bases


cdef inline int code_classes(RangeCoder *coder, Contexts *contexts) noexcept nogil:
    """Code the parameters and classes that define the contexts; returns the number of contexts, 0 if decoded classes
    are invalid."""
    cdef uint16_t steps[2][PARTS]
    cdef uint16_t kinds[PARTS][PARTS]
    cdef int k, before = 0, most = 0
    reset(steps[0], 2 * PARTS)
    reset(kinds[0], PARTS * PARTS)
    contexts.against = <int> code_number(coder, 1, <uint32_t> contexts.against)
    contexts.ahead = <int> code_number(coder, 2, <uint32_t> contexts.ahead)
    for k in range(contexts.values):
        before += <int> code_tree(coder, steps[0], 4, RATE, <uint32_t> (contexts.rank[k] - before))
        if before >= PARTS:
            return 0
        contexts.rank[k] = <uint8_t> before
    before = 0
    for k in range(PARTS):
        before += <int> code_tree(coder, steps[1], 4, RATE, <uint32_t> (contexts.pace[k] - before))
        if before >= PARTS:
            return 0
        contexts.pace[k] = <uint8_t> before
    contexts.paces = before + 1
    before = 0
    for k in range(PENTAMERS):
        before = <int> code_tree(coder, kinds[before], 4, RATE, contexts.kind[k])
        contexts.kind[k] = <uint8_t> before
        most = max(most, before)
    return (most + 1) * contexts.paces


cdef inline uint16_t context_of(const Contexts *contexts, uint16_t pentamer, uint8_t level) noexcept nogil:
    return contexts.kind[pentamer] * contexts.paces + contexts.pace[level]


cdef inline int32_t after(const Contexts *contexts, int32_t mean, uint8_t value) noexcept nogil:
    """The mean after one more value."""
    return mean + (((<int32_t> contexts.rank[value] << SHIFT) + (1 << (SHIFT - 1)) - mean) >> SLOWNESS)
