from cpython cimport array
from libc.stdint cimport int32_t, int64_t


cdef class Mismatched:
    cdef array.array places, first
