# Changes of depth far from the window in which reads are counted. They are sorted, and summed with the others.

from bams3.coverage.depth cimport Depth


cdef enum:
    BLOCK = 16  # positions that are kept or dropped together


cdef struct Change:
    int position
    int change


cdef struct Far:
    Change *changes   # not sorted
    size_t count
    size_t capacity
    long long begin   # changes count in [begin, stop)
    long long stop
    bint failed       # out of memory


cdef int keep_blocks(Depth changes, long long offset, int *values, long long size) except -1 nogil
cdef void keep_far(Far *far, long long position, int change) noexcept nogil
cdef Depth merge(Depth changes, Far *far, long long position)
cdef int settle(Depth changes, int before) noexcept nogil
