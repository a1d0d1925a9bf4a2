"""What a file system answers: bytes, copied once into memory that libfuse frees."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <sys/types.h>

    typedef struct { /* struct fuse_buf of libfuse */
        size_t size;
        int flags;
        void *memory;
        int descriptor;
        off_t position;
    } FuseBuffer;

    typedef struct { /* struct fuse_bufvec, with one buffer */
        size_t count, index, offset;
        FuseBuffer buffer;
    } FuseBuffers;
    """
    ctypedef struct FuseBuffer:
        size_t size
        void *memory

    ctypedef struct FuseBuffers:
        size_t count
        FuseBuffer buffer


def answer(size_t place, list portions):
    """Make the answer to read_buf.

    Parameters
    ----------
    place
        The address of libfuse's `struct fuse_bufvec *`, which will point to the answer. libfuse frees that.
    portions
        Bytes-like objects: the bytes that were asked for, in order.
    """
    cdef FuseBuffers *answered = <FuseBuffers *> calloc(1, sizeof(FuseBuffers))
    cdef Py_buffer *views = <Py_buffer *> malloc((len(portions) + 1) * sizeof(Py_buffer))
    cdef Py_ssize_t held = 0, i
    cdef size_t size = 0
    cdef char *out
    try:
        if answered == NULL or views == NULL:
            raise MemoryError("not enough memory for an answer")
        for portion in portions:
            PyObject_GetBuffer(portion, &views[held], PyBUF_SIMPLE)
            size += views[held].len
            held += 1
        out = <char *> malloc(size + 1)
        if out == NULL:
            raise MemoryError(f"not enough memory for an answer of {size} bytes")
        answered.count = 1
        answered.buffer.size = size
        answered.buffer.memory = out
        with nogil:
            for i in range(held):
                memcpy(out, views[i].buf, views[i].len)
                out += views[i].len
        (<FuseBuffers **> place)[0] = answered
        answered = NULL
    finally:
        for i in range(held):
            PyBuffer_Release(&views[i])
        free(views)
        free(answered)
