# Decimal numbers that can be incremented as text, for lines of coverage. Everything here is inline and nogil.

from libc.string cimport memcpy

from bams3.decimal cimport ZEROS, eight_digits, zeros


cdef struct Number:
    unsigned long long head      # digits before the last eight, the first one in the lowest byte
    unsigned long long low       # the last eight digits, with leading zeros
    unsigned int head_length
    unsigned int skip            # number of leading zeros among the last eight digits
    unsigned long long hundredth # the number modulo 100


cdef enum:
    DIGITS = 16  # maximum digits of a number


cdef inline unsigned long long two_digits(unsigned long long value) noexcept nogil:
    """Return the two digits of a number below 100 as text, the first digit in the lowest byte."""
    cdef unsigned long long tens = value * 103 >> 10
    return tens + (value - 10 * tens << 8) + 0x3030


cdef inline Number decimal(unsigned long long value) noexcept nogil:
    """Return the digits of a number below 10 ** 16."""
    cdef Number number
    cdef unsigned long long text
    number.hundredth = value % 100
    number.head = number.head_length = number.skip = 0
    if value >= 100000000:
        text = eight_digits(value // 100000000)
        number.skip = zeros(text | 1ULL << 56) >> 3
        number.head = (text | ZEROS) >> (8 * number.skip)
        number.head_length = 8 - number.skip
        number.skip = 0
    text = eight_digits(value % 100000000)
    if not number.head_length:
        number.skip = zeros(text | 1ULL << 56) >> 3
    number.low = text | ZEROS
    return number


cdef inline bint advance(Number *number, unsigned long long by) noexcept nogil:
    """Add ``by`` to a number if only its last two digits change; otherwise, return False."""
    if number.hundredth + by >= 100 or number.skip == 7:
        return False
    number.hundredth += by
    number.low = number.low & <unsigned long long> 0xFFFFFFFFFFFF | two_digits(number.hundredth) << 48
    return True


cdef inline char *put_number(char *out, const Number *number) noexcept nogil:
    """Write the digits and return the end. There must be room for DIGITS bytes."""
    cdef unsigned long long text = number.low >> (8 * number.skip)
    memcpy(out, &number.head, 8)
    out += number.head_length
    memcpy(out, &text, 8)
    return out + 8 - number.skip
