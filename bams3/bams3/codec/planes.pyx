"""Planes of integers: the first plane has the lowest bytes of all integers, the next their second bytes, and so on."""

from libc.stdint cimport uint8_t

from bams3.buffer cimport Buffer


def split(const uint8_t[::1] data not None, int width):
    """The planes of integers of ``width`` bytes, each a Buffer."""
    cdef Py_ssize_t count = data.shape[0] // width, i
    cdef int k
    cdef Buffer plane
    cdef uint8_t *out[8]
    if not 0 < width <= 8:
        raise ValueError(f"integers of {width} bytes")
    planes = []
    for k in range(width):
        plane = Buffer(count)
        plane.size = count
        out[k] = plane.data
        planes.append(plane)
    with nogil:
        for k in range(width):
            for i in range(count):
                out[k][i] = data[i * width + k]
    return planes


def put(const uint8_t[::1] plane not None, int number, int width, uint8_t[::1] out not None):
    """Write plane ``number`` into ``out``, which must have room for as many integers of ``width`` bytes."""
    cdef Py_ssize_t i
    if out.shape[0] != plane.shape[0] * width or not 0 <= number < width:
        raise ValueError(f"a plane of {plane.shape[0]} bytes does not fit {out.shape[0]} bytes")
    with nogil:
        for i in range(plane.shape[0]):
            out[i * width + number] = plane[i]
