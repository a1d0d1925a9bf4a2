# What the marks of reads are made of.

from libc.stdint cimport uint8_t
from libc.string cimport memmove, strlen

from bams3.buffer cimport Bytes

# Bits of a read's mark, and what it needs besides.
cdef enum:
    DUPLICATE = 1
    LIBRARY = 2  # not an optical duplicate
    OPTICAL = 4
    NAMED = 8    # with the name of its original
    COPIES = 16  # with their number
    UNCOUNTED = 32  # without it


cdef inline void shift(Bytes *bytes_, Py_ssize_t size) noexcept nogil:
    """Take some bytes away at the start."""
    if size:
        bytes_.size -= size
        memmove(bytes_.data, bytes_.data + size, bytes_.size)


cdef inline Py_ssize_t size_of_more(const uint8_t *bits, Py_ssize_t count, const uint8_t *more) noexcept nogil:
    """How many bytes belong to the next `count` reads."""
    cdef Py_ssize_t i, size = 0
    for i in range(count):
        if bits[i] & NAMED:
            size += strlen(<const char *> more + size) + 1
        elif bits[i] & COPIES:
            size += 4
    return size
