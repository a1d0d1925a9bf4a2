# A growable byte buffer for nogil kernels; exposes the buffer protocol to Python.

cimport cython
from libc.stdlib cimport realloc
from libc.string cimport memcpy


cdef inline void copy_short(unsigned char *out, const unsigned char *source, size_t length, size_t readable) noexcept nogil:
    """Copy a usually small number of bytes without a function call. Up to 15 bytes after them in ``out`` may be
    overwritten. ``readable`` is the number of bytes that may be read at ``source``."""
    cdef size_t i = 0
    if length + 15 > readable:
        if length:
            memcpy(out, source, length)
        return
    while i < length:
        memcpy(out + i, source + i, 16)
        i += 16


# A Buffer as a plain struct, for arrays of buffers. It must be all 0 at first; `Buffer.taking` turns it into a Buffer.
cdef struct Bytes:
    unsigned char *data
    size_t size
    size_t capacity


cdef inline int make_room(Bytes *bytes_, size_t length) except -1 nogil:
    """Make room for ``length`` more bytes."""
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
    return 0


cdef inline int append(Bytes *bytes_, const void *source, size_t length) except -1 nogil:
    make_room(bytes_, length)
    if length:
        memcpy(bytes_.data + bytes_.size, source, length)
    bytes_.size += length
    return 0


@cython.final
cdef class Buffer:
    cdef unsigned char *data
    cdef size_t size
    cdef size_t capacity
    cdef int exports
    cdef readonly int width

    cdef int grow(self, size_t extra) except -1 nogil

    cdef inline int reserve(self, size_t extra) except -1 nogil:
        """Make room for ``extra`` more bytes."""
        return self.grow(extra) if extra > self.capacity - self.size else 0

    cdef inline int put(self, const void *source, size_t length) except -1 nogil:
        self.reserve(length)
        if length:
            memcpy(self.data + self.size, source, length)
        self.size += length
        return 0

    cdef inline int put_u8(self, unsigned char value) except -1 nogil:
        self.reserve(1)
        self.data[self.size] = value
        self.size += 1
        return 0

    cdef inline int put_u16(self, unsigned short value) except -1 nogil:
        return self.put(&value, 2)

    cdef inline int put_u32(self, unsigned int value) except -1 nogil:
        return self.put(&value, 4)

    cdef inline int put_u64(self, unsigned long long value) except -1 nogil:
        return self.put(&value, 8)

    cdef inline unsigned char *room(self, unsigned char *end, size_t length) except NULL nogil:
        """Make room for ``length`` more bytes at ``end``, for code that appends through a pointer and does not update
        `size` each time. Returns the end, which may have moved."""
        if length > self.capacity - <size_t> (end - self.data):
            self.size = end - self.data
            self.grow(length)
            end = self.data + self.size
        return end

    @staticmethod
    cdef Buffer taking(Bytes *bytes_, int width)
