from cpython cimport array
from libc.stdint cimport int32_t, uint16_t

cdef array.array find_partners(const int32_t[::1] previous, const uint16_t[::1] flag)
