# Depth of consecutive positions of a contig, stored as stretches.

from bams3.buffer cimport Buffer


cdef struct Stretch:
    long long begin  # relative to the start of the Depth
    long long end
    int *values      # in the pool


cdef struct Part:
    long long end
    const int *values  # depths from the requested position to the end; NULL: all of them are `value`
    int value


cdef class Pool:
    cdef Buffer segments  # pointers to the segments
    cdef int *free        # first free integer of the last segment
    cdef size_t left      # number of free integers there
    cdef size_t total     # number of integers in all segments

    cdef int *take(self, size_t count) except NULL nogil


cdef class Depth:
    cdef readonly long long start
    cdef readonly bint found
    cdef long long length
    cdef int before        # depth before the first stretch
    cdef Buffer stretches  # Stretch structs in order; between two stretches, depth is the last value of the first
    cdef Pool pool

    cdef int *append(self, long long begin, long long end) except NULL nogil
    cdef Part part(self, long long position, Py_ssize_t *near) noexcept nogil
