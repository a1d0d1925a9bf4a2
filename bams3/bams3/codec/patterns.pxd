# Names as patterns and values: how a name is parsed and reassembled. Everything here is inline and nogil.
#
# In a pattern, a byte below 32 is a slot: NUMBER is a decimal number without leading zeros; 2 to 9, a number with that
# many digits; BASES + k, a run of k bases. Other bytes stand for themselves. A long run of digits or bases takes
# several slots.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bams3.decimal cimport ZEROS, eight_digits, put_unsigned

cdef enum:
    NUMBER = 1
    MOST_DIGITS = 9     # of a slot, so that its value fits in a u32
    MOST_BASES = 12     # likewise
    BASES = 16
    FEWEST_BASES = 4    # a shorter run of bases counts as a word
    FIRST_LITERAL = 32
    MOST_SLOTS = 16     # in a name that is parsed
    LONGEST_NAME = 254  # bytes, without NUL
    LONGEST_VALUE = 12  # bytes of a slot's text


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint is_base(uint8_t c) noexcept nogil:
    return c == 65 or c == 67 or c == 71 or c == 84


cdef inline bint is_word(uint8_t c) noexcept nogil:
    return is_digit(c) or 97 <= (c | 32) <= 122


cdef inline int cut_name(const uint8_t *name, int length, uint8_t *pattern, uint32_t *values, int *slots) noexcept nogil:
    """Write a name's pattern and the values of its ``slots[0]`` slots (at most MOST_SLOTS).

    Returns the length of the pattern, which is not longer than the name; -1 if the name has bytes below 32 or
    too many slots.
    """
    cdef int at = 0, out = 0, used = 0, run, width
    cdef uint32_t value
    cdef bint decimal
    while at < length:
        decimal = is_digit(name[at])
        run = 0
        if decimal:
            run = 1
            while at + run < length and is_digit(name[at + run]):
                run += 1
        elif is_base(name[at]) and (at == 0 or not is_word(name[at - 1])):
            run = 1
            while at + run < length and is_base(name[at + run]):
                run += 1
            if run < FEWEST_BASES or (at + run < length and is_word(name[at + run])):
                run = 0
        if run == 0:
            if name[at] < FIRST_LITERAL:
                return -1
            pattern[out] = name[at]
            out += 1
            at += 1
            continue
        while run:
            if used == MOST_SLOTS:
                return -1
            width = MOST_DIGITS if decimal else MOST_BASES
            if run % width:
                width = run % width
            run -= width
            if decimal:
                pattern[out] = NUMBER if width == 1 or (name[at] != 48 and run_starts(name, at)) else width
            else:
                pattern[out] = BASES + width
            value = 0
            while width:
                value = value * 10 + (name[at] - 48) if decimal else value << 2 | (name[at] >> 1 & 3)
                at += 1
                width -= 1
            values[used] = value
            used += 1
            out += 1
    slots[0] = used
    return out


cdef inline bint run_starts(const uint8_t *name, int at) noexcept nogil:
    """Whether this digit is the first of its run."""
    return at == 0 or not is_digit(name[at - 1])


cdef inline int put_value(uint8_t slot, uint32_t value, uint8_t *out) noexcept nogil:
    """Write the text of a slot; returns its length. Digits beyond its width are dropped.

    There must be room for LONGEST_VALUE bytes, even if the text is shorter.
    """
    cdef int width = slot, k
    cdef uint64_t text
    if slot > BASES:
        width = slot - BASES
        for k in range(width - 1, -1, -1):
            out[k] = b"ACTG"[value & 3]
            value >>= 2
        return width
    if slot == NUMBER:
        return <int> (put_unsigned(out, value) - out)
    text = eight_digits(value % 100000000) | ZEROS
    if width > 8:
        out[0] = <uint8_t> (48 + value // 100000000 % 10)
        memcpy(out + 1, &text, 8)
    else:
        text >>= 8 * (8 - width)
        memcpy(out, &text, 8)
    return width


cdef inline bint is_slot(uint8_t c) noexcept nogil:
    return NUMBER <= c <= MOST_DIGITS or BASES < c <= BASES + MOST_BASES
