# Depth along one contig, or a piece of one.

from bams3.operations.coverage.segments cimport Span


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

    cdef int allocate(self) except -1
    cdef void touch(self, long long begin, long long end) noexcept nogil
