from libc.stdint cimport int64_t

from bams3.alleles.walk cimport Read


cdef class Pile:
    cdef Read *reads
    cdef Py_ssize_t count
    cdef Py_ssize_t owned               # the first of the reads, whose bytes belong to the pile
    cdef list held                      # what the others point into
    cdef size_t bytes                   # of carried reads: how many bytes that is
    cdef readonly int reference_id
    cdef readonly int64_t start         # [start, stop): the positions that these reads settle
    cdef readonly int64_t stop
    cdef readonly int64_t end           # of the last read
    cdef readonly int64_t least         # the first position that is visited of any read
    cdef readonly int64_t deleted       # most deleted bases of any read
    cdef readonly bint covers           # whether any read has an extent

    cdef int make_room(self, Py_ssize_t most) except -1
    cdef Pile like(self)
    cdef void put(self, const Read *read) noexcept nogil
