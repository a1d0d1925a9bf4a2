# Reads that are carried over from one row group to the next.

from bams3.coverage.segments cimport Mate


cdef class Held:
    cdef list reads
    cdef Mate *mates
