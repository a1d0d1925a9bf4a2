"""Lines of samtools depth: contig, position (from 1), and the depth in each dataset."""

from array import array

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.coverage.depth cimport Depth, Part

cdef enum:
    DIGITS = 20  # maximum length of a number


def lines(const unsigned char[::1] contig not None, depths, const int64_t[::1] starts not None,
          const int64_t[::1] ends not None, int64_t begin, int64_t stop):
    """Return the lines of the positions in ``[begin, stop)`` that also lie in an interval ``[starts[k], ends[k])``.

    ``depths``: a `Depth` for each dataset, with all positions in ``[begin, stop)``. Intervals are sorted and disjoint.
    """
    cdef Py_ssize_t columns = len(depths), length = contig.shape[0], size = stop - begin, k, c
    cdef Buffer text = Buffer()
    cdef int64_t position
    cdef char *out
    table = array("i", bytes(4)) * (columns * size)
    cdef int[::1] values = table
    if starts.shape[0] != ends.shape[0]:
        raise ValueError(f"{starts.shape[0]} starts do not match {ends.shape[0]} ends")
    for c in range(columns):
        fill(values[c * size:(c + 1) * size], depths[c], begin)
    with nogil:
        for k in range(first_past(ends, begin), starts.shape[0]):
            if starts[k] >= stop:
                break
            for position in range(max(starts[k], begin), min(ends[k], stop)):
                text.reserve(length + 1 + (columns + 1) * (DIGITS + 1))
                out = <char *> text.data + text.size
                if length:
                    memcpy(out, &contig[0], length)
                out += length
                out = put_number(out, b"\t", position + 1)
                for c in range(columns):
                    out = put_number(out, b"\t", values[c * size + (position - begin)])
                out[0] = b"\n"
                text.size = out + 1 - <char *> text.data
    return text


cdef int fill(int[::1] values, Depth depth, int64_t begin) except -1:
    """Write the depth of the positions from ``begin`` on to ``values``."""
    cdef int64_t position = begin - depth.start, stop = position + values.shape[0], end, i
    cdef Py_ssize_t near = 0
    cdef Part part
    if not 0 <= position <= stop <= depth.length:
        raise ValueError("the depth does not have all positions")
    begin = position
    with nogil:
        while position < stop:
            part = depth.part(position, &near)
            end = min(part.end, stop)
            for i in range(position, end):
                values[i - begin] = part.values[i - position] if part.values != NULL else part.value
            position = end
    return 0


cdef Py_ssize_t first_past(const int64_t[::1] ends, int64_t position) noexcept nogil:
    """Return the index of the first of sorted ends that lies past a position."""
    cdef Py_ssize_t low = 0, high = ends.shape[0], middle
    while low < high:
        middle = (low + high) >> 1
        if ends[middle] <= position:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline char *put_number(char *out, char before, int64_t value) noexcept nogil:
    """Write a character and a number that is not negative; return the end."""
    cdef char digits[DIGITS]
    cdef int count = 0
    out[0] = before
    out += 1
    while value >= 10:
        digits[count] = 48 + <char> (value % 10)
        value //= 10
        count += 1
    out[0] = 48 + <char> value
    out += 1
    while count:
        count -= 1
        out[0] = digits[count]
        out += 1
    return out
