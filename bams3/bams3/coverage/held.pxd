# Reads that one row group leaves to the next.

from bams3.coverage.segments cimport Mate


cdef class Held:
    cdef list reads
    cdef Mate *mates
