"""A growable byte buffer for nogil kernels; it supports the buffer protocol, so its bytes need no copying."""

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef enum:
    MUCH = 1 << 16  # bytes from which copying and freeing releases Python's lock

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    static void keep(void) {
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
        mallopt(M_TRIM_THRESHOLD, 512 << 20);
        mallopt(M_ARENA_MAX, 1);  /* all threads can use the memory that one of them frees */
    }
    #else
    static void keep(void) {}
    #endif
    """
    void keep()


def keep_freed_memory():
    """Make malloc keep freed memory, for commands that process many row groups. Otherwise, a third of the time of a
    coverage run would be spent on returning pages to the system and getting new ones."""
    keep()


cdef class Buffer:
    """A byte buffer that grows at its end.

    Kernels append with ``put*`` (nogil); Python reads it as any bytes-like object. It cannot grow while there is a view
    of it. ``width`` is the number of bytes of each of the little-endian integers that it holds.
    """

    def __cinit__(self, size_t capacity=0, int width=1):
        self.data = NULL
        self.size = self.capacity = 0
        self.exports = 0
        self.width = width
        if capacity:
            self.reserve(capacity)

    def __dealloc__(self):
        if self.capacity < MUCH:
            free(self.data)
        else:  # the system may take long to reclaim the pages
            with nogil:
                free(self.data)

    def __len__(self):
        return self.size

    def __bytes__(self):
        cdef bytes copy
        cdef char *out
        if self.size < MUCH:
            return (<char *> self.data)[:self.size] if self.size else b""
        copy = PyBytes_FromStringAndSize(NULL, self.size)
        out = copy
        self.exports += 1  # it must not grow during the copy
        with nogil:
            memcpy(out, self.data, self.size)
        self.exports -= 1
        return copy

    def __getbuffer__(self, Py_buffer *view, int flags):
        if self.data == NULL:
            self.reserve(1)
        PyBuffer_FillInfo(view, self, self.data, <Py_ssize_t> self.size, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1

    cdef int grow(self, size_t extra) except -1 nogil:
        """Reallocate the bytes with room for ``extra`` more."""
        cdef size_t wanted = self.size + extra
        cdef size_t capacity
        cdef unsigned char *data
        if wanted < self.size:
            with gil:
                raise MemoryError("a buffer can't hold more than the address space")
        if self.exports:
            with gil:
                raise BufferError("a buffer can't grow while a view of it exists")
        capacity = self.capacity + self.capacity // 2
        if capacity < wanted:
            capacity = wanted
        if capacity < 256:
            capacity = 256
        data = <unsigned char *> realloc(self.data, capacity)
        if data == NULL:
            with gil:
                raise MemoryError(f"not enough memory for a buffer of {capacity} bytes")
        self.data = data
        self.capacity = capacity
        return 0

    @staticmethod
    cdef Buffer taking(Bytes *bytes_, int width):
        """Return a Buffer that takes over the bytes of a struct, which becomes empty."""
        cdef Buffer buffer = Buffer(width=width)
        buffer.data, buffer.size, buffer.capacity = bytes_.data, bytes_.size, bytes_.capacity
        bytes_.data = NULL
        bytes_.size = bytes_.capacity = 0
        return buffer
