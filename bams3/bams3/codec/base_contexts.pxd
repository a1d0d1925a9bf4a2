# The contexts in which base tables code a value of each base (docs/format.md, "Base tables"). Everything here is
# inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.bam.fields cimport REVERSE
from bams3.codec.surroundings cimport Surrounding, Surroundings

cdef enum:
    MOST_VALUES = 128
    SIDES = 45  # combinations of homopolymer and alignment
    MOST_CONTEXTS = 1 << 12
    ALL_VALUES = 50     # with at most this many values, each is a separate class of the previous value
    CLASSES = 16        # of the previous value, if there are more values than that
    SECOND_CLASSES = 4  # of the value before the previous one


cdef struct Contexts:
    # The number of a context is the sum of three terms: for the previous value (`before`), for the one before that
    # (`second`), and for the side of the base (`side`).
    int values, count
    uint8_t classes[2 * MOST_VALUES + SIDES]  # as stored
    uint16_t before[MOST_VALUES]
    uint16_t second[MOST_VALUES]
    uint16_t side[SIDES]


cdef inline bint number(Contexts *contexts) noexcept nogil:
    """Number the contexts by the stored classes; returns False if there are too many."""
    cdef const uint8_t *first = contexts.classes
    cdef const uint8_t *second = first + contexts.values
    cdef const uint8_t *side = second + contexts.values
    cdef int firsts = 0, seconds = 0, sides = 0, k
    for k in range(contexts.values):
        firsts = max(firsts, first[k] + 1)
        seconds = max(seconds, second[k] + 1)
    for k in range(SIDES):
        sides = max(sides, side[k] + 1)
    contexts.count = firsts * seconds * sides
    if contexts.count > MOST_CONTEXTS:
        return False
    for k in range(contexts.values):
        contexts.before[k] = <uint16_t> (first[k] * seconds * sides)
        contexts.second[k] = <uint16_t> (second[k] * sides)
    for k in range(SIDES):
        contexts.side[k] = side[k]
    return True


cdef inline bint choose(Contexts *contexts, int values, const size_t *counts, bint second) noexcept nogil:
    """Choose the classes, and number the contexts. Besides the previous value, contexts depend on the value before it
    and the homopolymer if ``second``, otherwise on the homopolymer and the alignment."""
    cdef size_t total = 0, up_to = 0
    cdef int k
    contexts.values = values
    for k in range(values):
        total += counts[k]
    for k in range(values):
        contexts.classes[k] = <uint8_t> (k if values <= ALL_VALUES else CLASSES * up_to // (total + 1))
        contexts.classes[values + k] = <uint8_t> (SECOND_CLASSES * up_to // (total + 1) if second else 0)
        up_to += counts[k]
    for k in range(SIDES):
        contexts.classes[2 * values + k] = <uint8_t> (k // 5 if second else k)
    return number(contexts)


cdef inline uint8_t side_of(uint32_t run) noexcept nogil:
    """The side of a base (its homopolymer and alignment), from `Surrounding.run`."""
    return <uint8_t> ((min(run >> 8, 2) * 3 + min(run >> 5 & 7, 2)) * 5 + min(run >> 2 & 7, 4))


cdef inline void put_sides(Surroundings around, const int32_t[::1] l_seq, const uint16_t[::1] flag, uint8_t *side) noexcept nogil:
    """The side of every base, in the order of sequencing."""
    cdef const Surrounding *surrounding
    cdef Py_ssize_t i
    cdef int64_t k
    for i in range(l_seq.shape[0]):
        surrounding = around.of(i, flag[i] & REVERSE)
        for k in range(l_seq[i]):
            side[k] = side_of(surrounding[k].run)
        side += l_seq[i]


cdef inline void turn_reversed(uint8_t *values, const int32_t[::1] l_seq, const uint16_t[::1] flag) noexcept nogil:
    """Reverse the values of reads on the reverse strand: from the order of QUAL to that of sequencing, or back."""
    cdef Py_ssize_t i
    cdef int64_t k
    cdef uint8_t held
    for i in range(l_seq.shape[0]):
        if flag[i] & REVERSE:
            for k in range(l_seq[i] // 2):
                held = values[k]
                values[k] = values[l_seq[i] - 1 - k]
                values[l_seq[i] - 1 - k] = held
        values += l_seq[i]
