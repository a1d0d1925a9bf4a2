cimport cython
from cpython cimport array
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.reference cimport Reference
from bams3.codec.sequences cimport Mismatched


cdef enum:
    DERIVED = 0x800000  # in the key of a tag: bit 7 of its type


cdef inline bint is_derivable(uint32_t key) noexcept nogil:
    """Whether the value of a tag with this name and type can be derived."""
    cdef uint32_t name = key & 0xFFFF
    cdef uint8_t kind = <uint8_t> (key >> 16 & 0x7F)
    if name == 0x444D or name == 0x434D:  # MD, MC
        return kind == b"Z"
    if name == 0x4D4E or name == 0x514D or name == 0x736D:  # NM, MQ, ms
        return kind == b"c" or kind == b"C" or kind == b"s" or kind == b"S" or kind == b"i" or kind == b"I"
    return False


@cython.final
cdef class Derived:
    cdef Reference reference
    cdef object held                 # keeps alive what the pointers point to
    cdef Mismatched mismatched       # None: mismatches are found by comparing SEQ with the reference
    cdef const uint8_t **seqs        # SEQ of every record, in BAM encoding; NULL if `mismatched` is given
    cdef const uint8_t **quals       # QUAL of every record
    cdef int64_t *sums               # of the good qualities of every record; NULL until they are needed
    cdef const int32_t[::1] pos, l_seq, query_length, reference_length, partner
    cdef const uint8_t[::1] mapq
    cdef const uint32_t[::1] first, count, pool
    cdef Py_ssize_t records
    cdef Py_ssize_t measured         # the record that md and nm belong to
    cdef bint known                  # whether it has MD and NM
    cdef Buffer md
    cdef int64_t nm
    cdef Buffer bases, places        # of one record: its SEQ, one byte per base, and where it has mismatches

    cdef uint8_t *put(self, uint32_t key, Py_ssize_t record, Buffer out, uint8_t *p, size_t after) except? NULL nogil
    cdef int measure(self, Py_ssize_t record) except -1 nogil
    cdef int compare(self, Py_ssize_t record, int64_t at) except -1 nogil
    cdef int add_qualities(self) except -1 nogil
    cdef uint8_t *put_cigar(self, Py_ssize_t record, Buffer out, uint8_t *p, size_t after) except? NULL nogil
