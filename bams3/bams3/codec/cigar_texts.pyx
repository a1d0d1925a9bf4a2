# Compiled with -O1: no run spends its time here.
"""Texts of tags that contain CIGARs: SA, XA, OA.

A CIGAR in a text is replaced by the byte 1. ``tag.<id>:Z.op`` has its operations, one byte each, followed by END;
``.length`` (M, = and X) and ``.gap`` (all others) have their lengths as short integers, as in ``cigars``.
"""

from libc.stdint cimport uint8_t, uint32_t

from bams3.bam.fields cimport CIGAR_LETTERS, is_match
from bams3.buffer cimport Buffer
from bams3.codec.patterns cimport is_digit, is_word
from bams3.codec.primitives cimport Cursor, ShortCursor, get_short, has_more, open_cursor, open_short, put_short
from bams3.decimal cimport put_unsigned

from bams3.errors import FormatError

cdef enum:
    MARK = 1        # stands for a CIGAR in a text
    END = 9         # after a CIGAR's operations
    DIGITS = 9      # at most, of a length
    ROOM = 16       # bytes that a number may be written to
    FEWEST = 4      # operations that CIGARs must have on average for this to be worthwhile

STREAMS = ("", ".op", ".length", ".length.long", ".gap", ".gap.long")
"""Endings of the names of the streams that replace the one of a tag."""


cdef inline int operation_of(uint8_t letter) noexcept nogil:
    """The code of the operation with this letter; END for any other letter."""
    cdef int code = 0
    while code < END and CIGAR_LETTERS[code] != letter:
        code += 1
    return code


cdef const uint8_t *end_of_cigar(const uint8_t *p) noexcept nogil:
    """The end of the CIGAR that begins at p and is followed by neither a letter nor a digit; NULL if there is none.

    The text ends with NUL.
    """
    cdef int digits
    while is_digit(p[0]):
        digits = 1
        while is_digit(p[digits]):
            digits += 1
        if digits > DIGITS or (p[0] == b"0" and digits > 1) or operation_of(p[digits]) == END:
            return NULL
        p += digits + 1
        if not is_word(p[0]) and p[0] != b"=":
            return p
    return NULL


def encode(const uint8_t[::1] texts):
    """The streams that replace ``texts``, in the order of STREAMS; None if they are not worthwhile. Each text ends with
    NUL."""
    cdef Buffer rest = Buffer(), op = Buffer(), length = Buffer(), gap = Buffer()
    cdef Buffer length_long = Buffer(width=4), gap_long = Buffer(width=4)
    cdef const uint8_t *p = &texts[0]
    cdef const uint8_t *end = p + texts.shape[0]
    cdef const uint8_t *after
    cdef uint32_t number
    cdef uint8_t code
    cdef size_t cigars = 0
    cdef bint begins = True
    with nogil:
        while p < end:
            if p[0] == MARK:
                cigars = 0
                break
            after = end_of_cigar(p) if begins and is_digit(p[0]) else NULL
            if after == NULL:
                begins = not is_word(p[0])
                rest.put_u8(p[0])
                p += 1
                continue
            while p < after:
                number = 0
                while is_digit(p[0]):
                    number = number * 10 + (p[0] - 48)
                    p += 1
                code = <uint8_t> operation_of(p[0])
                p += 1
                op.put_u8(code)
                if is_match(code):
                    put_short(length, length_long, number)
                else:
                    put_short(gap, gap_long, number)
            op.put_u8(END)
            rest.put_u8(MARK)
            cigars += 1
    if op.size < (FEWEST + 1) * cigars or not cigars:
        return None
    return rest, op, length, length_long, gap, gap_long


def decode(streams, str name):
    """The texts of the tag's stream ``name``, each with its NUL. Raises FormatError if the streams are inconsistent."""
    cdef Cursor rest, op
    cdef ShortCursor length, gap
    cdef Buffer out = Buffer()
    cdef uint32_t number = 0
    cdef uint8_t code
    cdef bint whole = True
    held = [streams[name + suffix] for suffix in STREAMS]
    open_cursor(&rest, held[0])
    open_cursor(&op, held[1])
    open_short(&length, held[2], held[3])
    open_short(&gap, held[4], held[5])
    with nogil:
        while whole and rest.at < rest.end:
            if rest.at[0] != MARK:
                out.put_u8(rest.at[0])
                rest.at += 1
                continue
            rest.at += 1
            while True:
                whole = op.at < op.end and op.at[0] <= END
                code = op.at[0] if whole else END
                op.at += 1
                if code == END:
                    break
                whole = get_short(&length if is_match(code) else &gap, &number)
                if not whole:
                    break
                out.reserve(ROOM)
                out.size = put_unsigned(out.data + out.size, number) - out.data
                out.put_u8(CIGAR_LETTERS[code])
    if not whole or op.at != op.end or has_more(&length) or has_more(&gap):
        raise FormatError(f"stream '{name}' does not match the streams of its CIGARs")
    return out
