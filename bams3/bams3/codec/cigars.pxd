from libc.stdint cimport int64_t, uint8_t


cdef bint resolve(const uint8_t *r, const uint8_t **operations, int64_t *count) noexcept nogil
