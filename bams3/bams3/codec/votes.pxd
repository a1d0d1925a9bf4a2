from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from bams3.buffer cimport Buffer

cdef class Votes:
    cdef int64_t length, words
    cdef uint64_t *marks    # a bit for each position of the window: whether it is counted
    cdef uint32_t *before   # for each word of ``marks``: number of counted positions before its first position
    cdef int32_t *change    # depth at each counted position, minus that at the previous one
    cdef uint32_t *against  # for each counted position: numbers of reads with A, C, G, T that differ from its base

    cdef int64_t rank(self, int64_t place) noexcept nogil
    cdef void cover(self, int64_t at, const uint32_t *cigar, uint32_t count) noexcept nogil
    cdef void elect(self, uint8_t *bases) noexcept nogil
