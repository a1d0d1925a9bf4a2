# Parts of the lines of sites. Everything here is inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from bams3.alleles.counts cimport DELETIONS
from bams3.buffer cimport Buffer
from bams3.decimal cimport put_unsigned

cdef enum:
    TAB = 9
    NEWLINE = 10
    ROOM = 32           # for a number and the bytes that `put_unsigned` writes after it


cdef struct Text:
    const uint8_t *at
    int64_t length


cdef inline Text word_of(const uint8_t *text, int64_t length, int before) noexcept nogil:
    """Word number `before` (0-based) of a text whose words are separated by tabs."""
    cdef int64_t at = 0, end
    while before and at < length:
        before -= text[at] == TAB
        at += 1
    end = at
    while end < length and text[end] != TAB:
        end += 1
    return Text(text + at, end - at)


cdef inline int put_number(Buffer out, uint64_t value) except -1 nogil:
    out.reserve(ROOM)
    out.size = put_unsigned(out.data + out.size, value) - out.data
    return 0


cdef inline int put_place(Buffer out, const Text *contig, int64_t position) except -1 nogil:
    """Append the contig and the 1-based position, with a tab after each."""
    out.put(contig.at, contig.length)
    out.put_u8(TAB)
    put_number(out, position + 1)
    return out.put_u8(TAB)


cdef inline int32_t depth_of(const int32_t *counts) noexcept nogil:
    """The number of bases, without deletions."""
    cdef int32_t depth = 0
    cdef int i
    for i in range(DELETIONS):
        depth += counts[i]
    return depth
