# Depth along one contig, or a piece of one.

cdef struct Span:
    int *values
    long long start
    long long length


cdef class Depth:
    cdef Span span
    cdef readonly bint found
    cdef long long low
    cdef long long high
    cdef int mode
    cdef unsigned int exclude_flags
    cdef unsigned int include_flags
    cdef int min_mapq
    cdef long long min_fragment
    cdef long long max_fragment
    cdef int reference_id
    cdef dict carried

    cdef void touch(self, long long begin, long long end) noexcept nogil
