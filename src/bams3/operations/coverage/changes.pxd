# Changes of depth, put in order and summed.

from bams3.operations.coverage.depth cimport Depth
from bams3.operations.coverage.segments cimport Far

cdef Depth merge(Depth changes, Far *far, long long position)
cdef int settle(Depth changes, int before) noexcept nogil
