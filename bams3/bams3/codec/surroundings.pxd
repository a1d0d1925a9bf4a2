from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.codec.reference cimport Reference

cdef enum:
    PENTAMERS = 1 << 10
    RUNS = 1 << 11
    ALIGNMENTS = 1 << 11


cdef struct Surrounding:
    uint16_t bases      # this base, the two before it and the two after it
    uint16_t run        # how often the base is repeated before and after; how it is aligned; which base it is
    uint16_t alignment  # how this base, the two before it and the two after it are aligned


cdef class Surroundings:
    cdef readonly int64_t longest    # bases of the longest read
    cdef object held                 # keeps the arrays alive
    cdef Reference reference
    cdef const uint8_t *packed       # SEQs in BAM encoding
    cdef const int64_t[::1] starts   # of each SEQ
    cdef const int32_t[::1] pos, l_seq, query_length
    cdef const uint32_t[::1] first, count, pool
    cdef uint8_t *bases              # of a read, 4-bit codes
    cdef uint8_t *codes              # of a read, two-bit codes, in the order requested from `of`, with a margin
    cdef uint8_t *kinds              # how these bases are aligned, in the same order, with a margin
    cdef Surrounding *around

    cdef int open(self, pos, l_seq, cigars) except -1
    cdef const Surrounding *of(self, Py_ssize_t record, bint reverse) noexcept nogil
    cdef void align(self, Py_ssize_t record) noexcept nogil
    cdef void turn(self, int64_t length) noexcept nogil
