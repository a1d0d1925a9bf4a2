from cpython cimport array
from libc.stdint cimport int64_t, uint8_t, uint32_t

from bams3.buffer cimport Buffer


cdef struct Source:
    # Where the values of one tag are read from.
    uint32_t key
    int width           # bytes of a value or of an array element; 0: text
    const uint8_t *at   # next text, next array
    const uint8_t *end
    const uint8_t *counts
    int64_t values      # number of fixed-width values, of arrays
    int64_t used


cdef class Tags:
    cdef object held                  # keeps the streams alive
    cdef Source *sources
    cdef readonly list names          # stream name of every source
    cdef uint32_t *layouts            # source of every tag of every layout
    cdef uint32_t *layout_start       # first entry of every layout, and the end of the last
    cdef readonly array.array layout  # of every record

    cdef list read_layouts(self, const uint8_t[::1] definitions)
    cdef int open_sources(self, streams, name) except -1
    cdef int put(self, Buffer out, Py_ssize_t record, const uint32_t *cigar, uint32_t operations) except -1 nogil
