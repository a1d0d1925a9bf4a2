# Lines of a BED file under construction, and their index.

from bams3.buffer cimport Buffer
from bams3.coverage.digits cimport Number


cdef class BedText:
    cdef Buffer text
    cdef unsigned long long flushed
    cdef bytes contig
    cdef bytes column
    cdef const char *prefix
    cdef size_t prefix_length
    cdef long long last_end
    cdef Number last
    cdef long long run_start
    cdef int run_value
    cdef dict indexed
    cdef Buffer chunks
    cdef Buffer linear
    cdef int levels
    cdef unsigned int bin
    cdef long long leaf
    cdef unsigned long long bin_begin
    cdef unsigned long long bin_end

    cdef int put_line(self, long long start, long long end, bytes rest) except -1
    cdef long long put_runs(self, const int *values, int value, long long position, long long stop) except -1 nogil
    cdef int put_run(self, long long end) except -1 nogil
    cdef int index(self, long long start, long long end, unsigned long long begin) except -1 nogil
    cdef int _end_bin(self) except -1 nogil
