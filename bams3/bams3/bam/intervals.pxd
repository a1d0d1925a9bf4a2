# The words of a line, and the reader of BED files, for other readers of positions.

from libc.stdint cimport int32_t, int64_t

from bams3.buffer cimport Buffer

cdef enum:
    FIELDS = 5
    MAX_DIGITS = 18


cdef struct Field:
    const unsigned char *at
    Py_ssize_t length


cdef int split(const unsigned char *line, Py_ssize_t length, Field *fields) noexcept nogil
cdef int64_t number(const Field *field) noexcept nogil
cdef bint interval(const Field *fields, int count, int64_t *start, int64_t *end) noexcept nogil


cdef class BedReader:
    cdef readonly list contigs
    cdef readonly Py_ssize_t lines
    cdef dict ids
    cdef list labels
    cdef bint named, keeps_names
    cdef Buffer contig, start, end
    cdef bytes last
    cdef int32_t last_id

    cdef bint line(self, const unsigned char *line, Py_ssize_t length) except -1
    cdef int32_t id_of(self, const Field *name) except -1
