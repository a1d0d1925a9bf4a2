# Compiled with -O1: no run spends its time here.
"""Reads that are carried over from one row group to the next, because their mates may still come."""

from libc.stdlib cimport calloc, free

from bams3.coverage.segments cimport Mate


cdef class Held:
    """Reads carried over from earlier row groups, for kernels: ``mates[k]`` is a view of ``reads[k]``."""

    def __cinit__(self):
        self.reads = []
        self.mates = NULL

    def __dealloc__(self):
        free(self.mates)

    def view(self):
        """Fill ``mates`` from ``reads``, tuples of start, end and CIGAR (``array('I')``)."""
        cdef const unsigned int[::1] cigar
        cdef Py_ssize_t k
        self.mates = <Mate *> calloc(len(self.reads) or 1, sizeof(Mate))
        if self.mates == NULL:
            raise MemoryError("not enough memory for the mates of a row group")
        for k, (pos, end, operations) in enumerate(self.reads):
            cigar = operations
            self.mates[k].pos, self.mates[k].end = pos, end
            self.mates[k].operations = <unsigned int> cigar.shape[0]
            if cigar.shape[0]:
                self.mates[k].cigar = &cigar[0]
