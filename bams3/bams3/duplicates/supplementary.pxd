from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from bams3.buffer cimport Bytes


cdef struct Entry:
    uint64_t hash       # of the name
    int64_t names       # offset of its name in `names`, which the name of its original follows
    int32_t read_group
    uint8_t used
    uint8_t optical


cdef class Supplementary:
    cdef Entry *entries
    cdef int64_t size   # number of entries: a power of two, or 0
    cdef int64_t count
    cdef Bytes names
    cdef bint originals, copies, distance
    cdef uint64_t seed
    cdef int64_t *counts
    cdef int32_t groups
    cdef uint8_t mark_of(self, const uint8_t *record, Bytes *more) except? 255 nogil
    cdef int add(self, const uint8_t *record, const char *original, bint optical, int32_t group) except -1 nogil
    cdef void retag(self, const uint8_t *record) noexcept nogil
    cdef Entry *find(self, const char *name, uint64_t hashed) noexcept nogil
    cdef int grow(self) except -1 nogil
    cdef uint64_t hash(self, const char *name) noexcept nogil
