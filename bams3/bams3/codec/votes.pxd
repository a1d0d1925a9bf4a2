from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from bams3.buffer cimport Buffer

cdef class Votes:
    cdef int64_t length, words
    cdef uint64_t *marks    # a bit for each position of the window: whether it is counted
    cdef uint32_t *before   # counted positions before those of each of ``marks``
    cdef int32_t *change    # of the depth at a counted position, from the one before it
    cdef uint32_t *against  # reads that have A, C, G, T against the base of a counted position

    cdef int64_t rank(self, int64_t place) noexcept nogil
    cdef void cover(self, int64_t at, const uint32_t *cigar, uint32_t count) noexcept nogil
    cdef void elect(self, uint8_t *bases) noexcept nogil
