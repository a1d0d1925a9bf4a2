from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from bams3.alleles.arena cimport Arena
from bams3.alleles.walk cimport Read


cdef struct Text:
    const uint8_t *chars
    int32_t length


cdef struct Name:            # reads with one name; htslib remembers one of them until its mate comes
    Text text
    int32_t waiting          # the number of that read, or NONE
    int32_t latest           # the last stay with the name, or NONE
    int32_t until            # the least end of its stays: htslib forgets the name after this position


cdef struct Stay:            # a read that htslib may still hold
    int32_t end
    int32_t name
    int32_t earlier          # the previous stay with the same name, or NONE


cdef class Waiting:
    cdef Name *names
    cdef int32_t count
    cdef int32_t known                  # how many of the names are from earlier row groups; `texts` has their texts
    cdef Arena texts
    cdef Stay *stays
    cdef int32_t staying
    cdef int32_t *of_record             # for each record of the row group, the number of its name, or NONE
    cdef int32_t *slots                 # a hash table of the known names
    cdef uint32_t mask

    cdef int begin(self, Py_ssize_t records) except -1
    cdef int32_t find(self, Text text) noexcept nogil
    cdef int32_t name_of(self, Py_ssize_t record, Text text) noexcept nogil
    cdef void forget(self, int32_t number) noexcept nogil
    cdef int32_t meet(self, int32_t i, int64_t end, int32_t number, int64_t at, bint overlaps,
                      bint waits) noexcept nogil
    cdef int32_t first_end(self, int32_t stay, int64_t at) noexcept nogil
    cdef int mark(self, int32_t[::1] reads, int64_t at) except -1
    cdef int keep(self, const int32_t[::1] numbers, int64_t at) except -1


cdef bint may_overlap(const Read *read, int reference_id, int next_ref, int64_t next_pos, int64_t length) noexcept nogil
