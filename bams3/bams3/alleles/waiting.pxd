from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from bams3.alleles.arena cimport Arena
from bams3.alleles.walk cimport Read


cdef struct Name:            # reads with one name; htslib remembers one of them until its mate comes
    int32_t waiting          # the number of that read, or NONE
    int32_t latest           # of the last read with the name
    int64_t until            # end of the first one that ends: htslib forgets the name when it is past


cdef class Waiting:
    cdef Name *names
    cdef int32_t count
    cdef int32_t *of_read               # of each read of the pile: the number of its name, or NONE
    cdef int32_t *earlier               # of each read: the one before with the same name, or NONE
    cdef int32_t *of_record             # of each record of the row group: the number of its name, or NONE
    cdef int32_t *slots                 # a hash table of the names of carried reads
    cdef uint32_t mask
    cdef Py_ssize_t carried             # how many reads of the pile were carried
    cdef Arena changed                  # the qualities of those of them that change

    cdef int begin(self, const Read *carried, Py_ssize_t count, Py_ssize_t records) except -1
    cdef int32_t find(self, const Read *reads, const uint8_t *name, int length) noexcept nogil
    cdef int32_t name_of(self, Py_ssize_t record, const Read *reads, const uint8_t *name, int length) noexcept nogil
    cdef void forget(self, int32_t number) noexcept nogil
    cdef int64_t first_end(self, const Read *reads, int32_t i, int64_t at) noexcept nogil
    cdef bint meet(self, Read *reads, int32_t i, int32_t number, int64_t at, bint overlaps, bint waits) except -1 nogil
    cdef int keep(self, const int32_t *kept, Py_ssize_t count, int64_t at) except -1


cdef bint may_overlap(const Read *read, int reference_id, int next_ref, int64_t next_pos, int64_t length) noexcept nogil
