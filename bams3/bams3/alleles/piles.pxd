from libc.stdint cimport int64_t

from bams3.alleles.walk cimport Read


cdef class Pile:
    cdef Read *reads
    cdef Py_ssize_t count
    cdef Py_ssize_t owned               # number of reads, at the beginning, whose bytes the pile must free
    cdef list held                      # objects that the other reads point into
    cdef size_t bytes                   # of carried reads: their size in bytes
    cdef readonly int reference_id
    cdef readonly int64_t start         # [start, stop): the positions that these reads settle
    cdef readonly int64_t stop
    cdef readonly int64_t end           # greatest end of any read
    cdef readonly int64_t least         # the walk visits no position of any read before this one
    cdef readonly int64_t deleted       # largest number of deleted bases of any read
    cdef readonly bint covers           # whether any read covers a position

    cdef int make_room(self, Py_ssize_t most) except -1
    cdef Pile like(self)
    cdef void put(self, const Read *read) noexcept nogil
