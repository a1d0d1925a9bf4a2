# Decimal numbers as text. Everything here is inline and nogil.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #define BAMS3_ZEROS 0x3030303030303030ULL

    static uint32_t bams3_small[1000];

    __attribute__((constructor)) static void bams3_fill_small(void) {
        for (uint32_t value = 0; value < 1000; value++) {
            uint32_t digits = value < 10 ? 1 : value < 100 ? 2 : 3, text = 0;
            for (uint32_t left = value, k = digits; k--; left /= 10)
                text |= (48 + left % 10) << 8 * k;
            bams3_small[value] = text | digits << 24;
        }
    }
    """
    const uint32_t *SMALL "bams3_small"  # text of each number below 1000; the highest byte is its length
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
    """Write a number and return its end. It is written eight bytes at a time, or four if it is small, so up to seven
    bytes after the end may be overwritten."""
    cdef uint32_t small
    cdef uint64_t text
    cdef int skip
    if value < 1000:
        small = SMALL[value]
        memcpy(out, &small, 4)
        return out + (small >> 24)
    text = eight_digits(value % 100000000)
    if value >= 100000000:
        out = put_unsigned(out, value // 100000000)
        text |= ZEROS
        memcpy(out, &text, 8)
        return out + 8
    skip = zeros(text | 1ULL << 56) >> 3
    text = (text | ZEROS) >> (8 * skip)
    memcpy(out, &text, 8)
    return out + 8 - skip
