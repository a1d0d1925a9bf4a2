from libc.stdint cimport int64_t, uint8_t

cdef class Reference:
    cdef uint8_t *bases            # of every position of the window; 0 where no read gives a base
    cdef uint8_t *packed[2]        # the same, two bases per byte, from the first and from the second position on
    cdef readonly int64_t start, length

    cdef int open(self, pos, l_seq, cigars) except -1
    cdef int fill(self, block, pos, l_seq, cigars) except -1
    cdef int read(self, streams) except -1
    cdef int64_t next_covered(self, int64_t at) noexcept nogil
    cdef int pack(self) except -1
    cdef bint covers(self, int64_t pos, int64_t length) noexcept nogil


cdef inline bint is_aligned(int64_t pos, int64_t l_seq, int64_t query_length) noexcept nogil:
    """Whether the CIGAR determines the positions of a read's bases."""
    return pos >= 0 and l_seq > 0 and l_seq == query_length
