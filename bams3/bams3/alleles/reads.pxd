from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.alleles.waiting cimport Text
from bams3.alleles.walk cimport Read


cdef class Reads:
    cdef readonly list held             # the columns that the reads point into
    cdef readonly Py_ssize_t records
    cdef int reference_id
    cdef bint mates                     # whether the columns for finding overlapping mates are there
    cdef int64_t deleted                # number of deleted bases of the read that `read` returned last
    cdef const uint8_t[::1] mask
    cdef const int32_t[::1] pos, end, l_seq, previous, next_ref, next_pos, template_length
    cdef const uint16_t[::1] flag
    cdef const uint8_t[::1] mapq
    cdef const uint32_t[::1] cigar_start, cigar_count, pool
    cdef const uint8_t[::1] seq, names
    cdef uint8_t[::1] qual
    cdef const int64_t[::1] name_offsets
    cdef object offsets
    cdef int64_t[::1] bases             # where the bases of each record begin: in QUAL, and in SEQ
    cdef int64_t[::1] packed

    cdef int set_mates(self, group) except -1
    cdef Py_ssize_t first(self) noexcept nogil
    cdef Read read(self, Py_ssize_t i) noexcept nogil
    cdef Text name(self, Py_ssize_t i) noexcept nogil
    cdef bint may_overlap(self, Py_ssize_t i, const Read *read) noexcept nogil
    cdef bint waits(self, Py_ssize_t i, const Read *read) noexcept nogil
