# Depth of a piece of a contig.

from bams3.operations.coverage.segments cimport Span


cdef int *zeros(long long count) noexcept nogil
cdef void release(int *values, long long count) noexcept nogil


cdef class Depth:
    cdef Span span
    cdef long long room  # integers at span.values, if it is not NULL
    cdef readonly bint found
    cdef long long low   # depth is 0 outside [low, high), which are relative to span.start
    cdef long long high
