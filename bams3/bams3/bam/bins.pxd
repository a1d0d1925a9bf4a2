# The bins of BAI indexes. Everything here is inline and nogil.

from libc.stdint cimport int64_t, uint16_t


cdef inline uint16_t reg2bin(int64_t start, int64_t end) noexcept nogil:
    """The smallest bin that contains [start, end): SAM specification, 5.3."""
    end -= 1
    if start >> 14 == end >> 14:
        return <uint16_t> (((1 << 15) - 1) // 7 + (start >> 14))
    if start >> 17 == end >> 17:
        return <uint16_t> (((1 << 12) - 1) // 7 + (start >> 17))
    if start >> 20 == end >> 20:
        return <uint16_t> (((1 << 9) - 1) // 7 + (start >> 20))
    if start >> 23 == end >> 23:
        return <uint16_t> (((1 << 6) - 1) // 7 + (start >> 23))
    if start >> 26 == end >> 26:
        return <uint16_t> (((1 << 3) - 1) // 7 + (start >> 26))
    return 0
