# Columns of non-negative integers (the numeric parts of names), each stored in a form that suits its values.

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport total, unzigzag
from bams3.bam.fields cimport load_u32

cdef enum:
    WIDTH = 15         # bits of a coding that hold the width
    DIFFERENCES = 16
    INDICES = 32
    MOST_DISTINCT = 256
    REPEATS = 8        # occurrences per distinct value from which a list of the values is worthwhile
    HASH = 2654435761  # a prime near 2^32 divided by the golden ratio

cdef struct Distinct:  # up to MOST_DISTINCT distinct values in order of first appearance
    int count          # MOST_DISTINCT + 1 if there are more
    uint32_t value[MOST_DISTINCT]
    uint16_t table[2 * MOST_DISTINCT]  # hash table: index + 1, or 0

cdef struct Column:
    const uint8_t *at
    const uint8_t *end
    int coding
    const uint8_t *distinct  # the values that the indices refer to
    uint32_t count
    uint32_t previous

cdef int put_column(uint32_t *values, uint32_t n, Buffer head, Buffer out) except -1 nogil
cdef Py_ssize_t open_column(Column *column, const uint8_t[::1] head, Py_ssize_t at, const uint8_t[::1] stream)


cdef inline int find(Distinct *seen, uint32_t value) noexcept nogil:
    """Index of a value among the distinct ones, adding it if there is room; otherwise -1."""
    cdef uint32_t at = (value * <uint32_t> HASH) >> 23
    if seen.count > MOST_DISTINCT:
        return -1
    while seen.table[at]:
        if seen.value[seen.table[at] - 1] == value:
            return seen.table[at] - 1
        at = (at + 1) % (2 * MOST_DISTINCT)
    seen.count += 1
    if seen.count > MOST_DISTINCT:
        return -1
    seen.value[seen.count - 1] = value
    seen.table[at] = <uint16_t> seen.count
    return seen.count - 1


cdef inline bint next_value(Column *column, uint32_t *value) noexcept nogil:
    """Read a column's next value; False if there is none."""
    cdef int width = column.coding & WIDTH
    if column.end - column.at < width:
        return False
    if column.end - column.at >= 4:
        value[0] = load_u32(column.at) & 0xFFFFFFFFu >> (32 - 8 * width)
    else:
        value[0] = 0
        memcpy(value, column.at, width)  # little-endian
    column.at += width
    if column.coding & INDICES:
        if value[0] >= column.count:
            return False
        value[0] = load_u32(column.distinct + 4 * value[0])
    if column.coding & DIFFERENCES:
        value[0] = total(column.previous, unzigzag(value[0]))
        column.previous = value[0]
    return True
