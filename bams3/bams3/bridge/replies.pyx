# Compiled with -O1: no run spends its time here.
"""Answers of a file system: bytes that are copied once, into memory that libfuse frees."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free, malloc

from bams3.bridge.blocks cimport write_portion

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
        The address of libfuse's `struct fuse_bufvec *`, which will point to the answer. libfuse frees the answer.
    portions
        Bytes-like objects and `Stored`: the requested bytes, in order.
    """
    cdef FuseBuffers *answered
    cdef size_t size = 0
    cdef uint8_t *memory
    cdef uint8_t *out
    for portion in portions:
        size += len(portion)
    answered = <FuseBuffers *> calloc(1, sizeof(FuseBuffers))
    memory = out = <uint8_t *> malloc(size + 1)
    try:
        if answered == NULL or memory == NULL:
            raise MemoryError(f"not enough memory for an answer of {size} bytes")
        answered.count = 1
        answered.buffer.size = size
        answered.buffer.memory = memory
        for portion in portions:
            write_portion(portion, out)
            out += <size_t> len(portion)
        (<FuseBuffers **> place)[0] = answered
        answered, memory = NULL, NULL
    finally:
        free(memory)
        free(answered)
