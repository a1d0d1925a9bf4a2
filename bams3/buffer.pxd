# A growable byte buffer for nogil kernels; exposes the buffer protocol to Python.

cdef class Buffer:
    cdef unsigned char *data
    cdef size_t size
    cdef size_t capacity
    cdef int exports
    cdef readonly int width

    cdef int reserve(self, size_t extra) except -1 nogil
    cdef int put(self, const void *source, size_t length) except -1 nogil
    cdef int put_u8(self, unsigned char value) except -1 nogil
    cdef int put_u16(self, unsigned short value) except -1 nogil
    cdef int put_u32(self, unsigned int value) except -1 nogil
    cdef int put_u64(self, unsigned long long value) except -1 nogil
