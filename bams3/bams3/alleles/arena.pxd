cdef class Arena:
    cdef void *newest                   # the block that is being filled
    cdef char *free                     # the free part of this block, and its size in bytes
    cdef size_t left
    cdef size_t size                    # bytes that have been taken, in all blocks

    cdef void *copy(self, const void *source, size_t length) except NULL nogil
    cdef void *take(self, size_t length) except NULL nogil
