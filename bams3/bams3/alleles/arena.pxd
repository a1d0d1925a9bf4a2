cdef class Arena:
    cdef void *newest                   # the block that is being filled
    cdef char *free                     # what is free of it, and how many bytes
    cdef size_t left
    cdef size_t size                    # bytes that were taken

    cdef void *copy(self, const void *source, size_t length) except NULL nogil
    cdef void *take(self, size_t length) except NULL nogil
