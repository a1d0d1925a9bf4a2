"""Columns of numbers.

A column's *coding*, u8, says how its stream holds the values: it is the width of the integers in bytes (1 to 4), plus
16 if they are zigzag differences from the previous value (the first: from 0), or plus 32 if they are indices of
distinct values. In that case, the coding is followed by the number of distinct values - 1 (u8) and the values (u32).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport difference, zigzag

cdef inline int bits(uint32_t value) noexcept nogil:
    cdef int n = 0
    while value:
        value >>= 1
        n += 1
    return n


cdef int put_column(uint32_t *values, uint32_t n, Buffer head, Buffer out) except -1 nogil:
    """Write a column's values to ``out`` and their coding to ``head``. ``values`` are overwritten."""
    cdef Distinct distinct
    cdef uint32_t highest = 0, previous = 0, i, differences = 0, value
    cdef int coding = 0
    cdef bint few
    memset(&distinct, 0, sizeof(Distinct))
    for i in range(n):
        highest = max(highest, values[i])
        find(&distinct, values[i])
        differences += 1 + bits(zigzag(difference(values[i], previous)))
        previous = values[i]
    few = distinct.count <= MOST_DISTINCT and <uint32_t> distinct.count * REPEATS <= n
    if differences < n * (bits(distinct.count) if few else bits(highest)) // 4 * 3:
        coding, highest, previous = DIFFERENCES, 0, 0
        for i in range(n):
            value = values[i]
            values[i] = zigzag(difference(value, previous))
            highest = max(highest, values[i])
            previous = value
    elif highest > 255 and few:
        coding, highest = INDICES, 0
        for i in range(n):
            values[i] = find(&distinct, values[i])
    coding |= max(1, (bits(highest) + 7) // 8)
    head.put_u8(coding)
    if coding & INDICES:
        head.put_u8(distinct.count - 1)
        head.put(distinct.value, distinct.count * sizeof(uint32_t))
    for i in range(n):
        out.put(&values[i], coding & WIDTH)  # little-endian
    out.width = coding & WIDTH
    return 0


cdef Py_ssize_t open_column(Column *column, const uint8_t[::1] head, Py_ssize_t at, const uint8_t[::1] stream):
    """Prepare to read a column whose coding is at ``head[at]``; returns the offset after it, or -1 if it is invalid.

    ``column`` points into both arguments, which must outlive it.
    """
    cdef int width
    if at >= head.shape[0]:
        return -1
    column.coding = head[at]
    column.previous = 0
    width = column.coding & WIDTH
    at += 1
    if not 1 <= width <= 4 or column.coding & ~(WIDTH | DIFFERENCES | INDICES) or stream.shape[0] % width:
        return -1
    if column.coding & INDICES:
        if at >= head.shape[0] or head.shape[0] - at - 1 < 4 * (head[at] + 1):
            return -1
        column.count = head[at] + 1
        column.distinct = &head[at + 1]
        at += 1 + 4 * column.count
    column.at = &stream[0] if stream.shape[0] else NULL
    column.end = column.at + stream.shape[0]
    return at
