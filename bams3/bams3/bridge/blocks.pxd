from libc.stdint cimport int64_t, uint8_t

cdef class Stored:
    cdef const uint8_t[::1] _data
    cdef int64_t _start, _end
    cdef bint _apart
    cdef void write(self, uint8_t *at) noexcept nogil

cdef void write_portion(object portion, uint8_t *at) except *
