# The marks of reads.

from libc.stdint cimport uint8_t
from libc.string cimport memmove, strlen

from bams3.buffer cimport Bytes

# Bits of a read's mark. NAMED and COPIES come with further bytes.
cdef enum:
    DUPLICATE = 1
    LIBRARY = 2  # not an optical duplicate
    OPTICAL = 4
    NAMED = 8    # comes with the name of its original
    COPIES = 16  # comes with the number of copies
    UNCOUNTED = 32  # the number of copies is to be removed


cdef inline void shift(Bytes *bytes_, Py_ssize_t size) noexcept nogil:
    """Remove bytes at the start."""
    if size:
        bytes_.size -= size
        memmove(bytes_.data, bytes_.data + size, bytes_.size)


cdef inline Py_ssize_t size_of_more(const uint8_t *bits, Py_ssize_t count, const uint8_t *more) noexcept nogil:
    """Return how many of the further bytes belong to the next `count` reads."""
    cdef Py_ssize_t i, size = 0
    for i in range(count):
        if bits[i] & NAMED:
            size += strlen(<const char *> more + size) + 1
        elif bits[i] & COPIES:
            size += 4
    return size
