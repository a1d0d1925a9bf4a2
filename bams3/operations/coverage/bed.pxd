# Lines of a BED file in the making, with the index of where they are.

from bams3.buffer cimport Buffer


cdef class BedText:
    cdef Buffer text
    cdef unsigned long long flushed
    cdef bytes contig
    cdef bytes column
    cdef const char *prefix
    cdef size_t prefix_length
    cdef dict indexed
    cdef Buffer chunks
    cdef Buffer linear
    cdef int levels
    cdef unsigned int bin
    cdef unsigned long long bin_begin
    cdef unsigned long long bin_end

    cdef int put(self, long long start, long long end, const char *rest, size_t length) except -1 nogil
    cdef int index(self, long long start, long long end, unsigned long long begin) except -1 nogil
    cdef int _end_bin(self) except -1 nogil
