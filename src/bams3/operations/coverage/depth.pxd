# Depth of a piece of a contig.

from bams3.buffer cimport Buffer


cdef struct Stretch:
    long long begin  # relative to the piece's start
    long long end
    long long at     # where in the pool its depths begin


cdef struct Part:
    long long end
    const int *values  # of the positions from the one asked for to the end; NULL: all of them are `value`
    int value


cdef class Depth:
    cdef readonly long long start
    cdef readonly bint found
    cdef long long length
    cdef int before        # depth where no stretch has begun yet
    cdef Buffer stretches  # of Stretch, in order; between them depth stays what it was
    cdef Buffer pool       # of int

    cdef int *append(self, long long begin, long long end) except NULL nogil
    cdef Part part(self, long long position, Py_ssize_t *near) noexcept nogil
