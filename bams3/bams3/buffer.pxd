# A growable byte buffer for nogil kernels; exposes the buffer protocol to Python.

from libc.stdlib cimport realloc
from libc.string cimport memcpy


# The same as a plain struct, for arrays of buffers. It must start zeroed; `Buffer.taking` turns it into a Buffer.
cdef struct Bytes:
    unsigned char *data
    size_t size
    size_t capacity


cdef inline int append(Bytes *bytes_, const void *source, size_t length) except -1 nogil:
    cdef size_t capacity
    cdef unsigned char *data
    if bytes_.size + length > bytes_.capacity:
        capacity = 2 * (bytes_.size + length) + 64
        data = <unsigned char *> realloc(bytes_.data, capacity)
        if data == NULL:
            with gil:
                raise MemoryError(f"not enough memory for a buffer of {capacity} bytes")
        bytes_.data = data
        bytes_.capacity = capacity
    if length:
        memcpy(bytes_.data + bytes_.size, source, length)
    bytes_.size += length
    return 0


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

    @staticmethod
    cdef Buffer taking(Bytes *bytes_, int width)
