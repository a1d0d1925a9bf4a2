# rANS with a row of frequencies for each context (docs/format.md, "Base tables"). `base_tables` and `kinetics` use it;
# they define the contexts.

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from bams3.bam.fields cimport load_u16
from bams3.buffer cimport Buffer
from bams3.codec.range_coder cimport RangeDecoder, RangeEncoder

cdef enum:
    MIN_BITS = 10
    MAX_BITS = 12
    LANES = 8
    FIRST = 1 << 15  # the lowest state, and the first one
    ROW_COST = 6     # bits that a frequency takes, approximately


@cython.final
cdef class Frequencies:
    cdef int values, contexts, bits
    cdef uint32_t *counts       # by context and value; the user fills them in
    cdef uint16_t *frequencies  # by context and value; `put_table` scales those of each context so they sum to 2^bits
    cdef uint8_t *scales
    cdef uint8_t identity[256]

    cdef void fit(self) noexcept nogil
    cdef int put_table(self, RangeEncoder *coder, Buffer out) except -1 nogil
    cdef int put_values(self, const uint8_t *symbols, const uint16_t *context, size_t size, Buffer out) except -1 nogil
    cdef uint8_t *put_value(self, uint8_t *out, uint32_t *state, uint8_t value, uint16_t context) noexcept nogil


@cython.final
cdef class Slots:
    cdef readonly int values, contexts, bits
    cdef uint8_t *value_of  # by context and slot
    cdef uint32_t *row      # by context and value: first slot << 16 | frequency

    cdef bint read(self, RangeDecoder *coder) noexcept nogil


cdef double cost_of(const uint32_t *counts, int contexts, int values) noexcept nogil


cdef inline uint8_t get_value(
    const uint8_t *value_of, const uint32_t *rows, int values, int bits, uint32_t context, uint32_t *state,
    const uint8_t **at, const uint8_t *end
) noexcept nogil:
    """Decode the next value of a lane."""
    cdef uint32_t x = state[0], slot = x & ((<uint32_t> 1 << bits) - 1), row
    cdef uint8_t value = value_of[(context << bits) + slot]
    row = rows[context * values + value]
    x = (row & 0xFFFF) * (x >> bits) + slot - (row >> 16)
    if x < FIRST and end - at[0] >= 2:
        x = x << 16 | load_u16(at[0])
        at[0] += 2
    state[0] = x
    return value
