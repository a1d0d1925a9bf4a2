# Depth of a piece of a contig.

from bams3.buffer cimport Buffer


cdef struct Stretch:
    long long begin  # relative to the piece's start
    long long end
    int *values      # in the pool


cdef struct Part:
    long long end
    const int *values  # of the positions from the one asked for to the end; NULL: all of them are `value`
    int value


cdef class Pool:
    cdef Buffer segments  # pointers to them
    cdef int *free        # in the last one
    cdef size_t left      # integers there
    cdef size_t total     # of all

    cdef int *take(self, size_t count) except NULL nogil


cdef class Depth:
    cdef readonly long long start
    cdef readonly bint found
    cdef long long length
    cdef int before        # depth where no stretch has begun yet
    cdef Buffer stretches  # of Stretch, in order; between them depth stays what it was
    cdef Pool pool

    cdef int *append(self, long long begin, long long end) except NULL nogil
    cdef Part part(self, long long position, Py_ssize_t *near) noexcept nogil
