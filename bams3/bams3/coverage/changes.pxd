# Changes of depth far from where reads are counted; all put in order and summed.

from bams3.coverage.depth cimport Depth


cdef enum:
    BLOCK = 16  # positions that are kept or left out together


cdef struct Change:
    int position
    int change


cdef struct Far:
    Change *changes   # in any order
    size_t count
    size_t capacity
    long long begin   # the positions that count
    long long stop
    bint failed       # for want of memory


cdef int keep_blocks(Depth changes, long long offset, int *values, long long size) except -1 nogil
cdef void keep_far(Far *far, long long position, int change) noexcept nogil
cdef Depth merge(Depth changes, Far *far, long long position)
cdef int settle(Depth changes, int before) noexcept nogil
