# Decimal numbers as text. Everything here is inline and nogil.

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define BAMS3_ZEROS 0x3030303030303030ULL
    """
    const uint64_t ZEROS "BAMS3_ZEROS"  # eight times the digit 0
    int zeros "__builtin_ctzll"(uint64_t value) nogil


cdef inline uint64_t eight_digits(uint64_t value) noexcept nogil:
    """Return the eight decimal digits of a number below 10 ** 8, one per byte, the first in the lowest byte; halves,
    pairs and digits are split in parallel within one word."""
    cdef uint64_t halves = value // 10000 | (value % 10000) << 32
    cdef uint64_t hundreds = (halves * 10486 >> 20) & <uint64_t> 0x7F0000007F
    cdef uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16
    cdef uint64_t tens = (pairs * 103 >> 10) & <uint64_t> 0xF000F000F000F
    return tens | (pairs - 10 * tens) << 8


cdef inline uint8_t *put_unsigned(uint8_t *out, uint64_t value) noexcept nogil:
    """Write a number and return its end. Eight bytes at a time are written, so up to seven after the end change."""
    cdef uint64_t text = eight_digits(value % 100000000)
    cdef int skip
    if value >= 100000000:
        out = put_unsigned(out, value // 100000000)
        text |= ZEROS
        memcpy(out, &text, 8)
        return out + 8
    skip = zeros(text | 1ULL << 56) >> 3
    text = (text | ZEROS) >> (8 * skip)
    memcpy(out, &text, 8)
    return out + 8 - skip
