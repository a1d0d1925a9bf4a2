"""Lines of samtools depth: contig, 1-based position, and the depth in each dataset."""

from array import array

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.coverage.depth cimport Depth, Part

cdef enum:
    DIGITS = 11  # maximum length of a number with the tab before it


cdef struct Prefix:  # the contig and position of a line
    char *text
    Py_ssize_t contig  # length of the contig's name
    Py_ssize_t length


def lines(const unsigned char[::1] contig not None, depths, const int64_t[::1] starts not None,
          const int64_t[::1] ends not None, int64_t begin, int64_t stop):
    """Return the lines of the positions in ``[begin, stop)`` that also lie in an interval ``[starts[k], ends[k])``.

    ``depths`` has a `Depth` for each dataset, with all positions in ``[begin, stop)``. Intervals must be sorted and
    disjoint.
    """
    cdef Py_ssize_t columns = len(depths), size = stop - begin, k, c
    cdef Buffer text = Buffer(), before = Buffer(contig.shape[0] + DIGITS)
    cdef Prefix prefix = Prefix(<char *> before.data, contig.shape[0], 0)
    cdef int64_t first, last, position
    cdef char *out
    table = array("i", bytes(4)) * (columns * size)
    cdef int[::1] values = table
    if starts.shape[0] != ends.shape[0]:
        raise ValueError(f"{starts.shape[0]} starts do not match {ends.shape[0]} ends")
    for c in range(columns):
        fill(values[c * size:(c + 1) * size], depths[c], begin)
    if contig.shape[0]:
        memcpy(prefix.text, &contig[0], contig.shape[0])
    with nogil:
        for k in range(first_past(ends, begin), starts.shape[0]):
            if starts[k] >= stop:
                break
            first, last = max(starts[k], begin), min(ends[k], stop)
            text.reserve((last - first) * (prefix.contig + (columns + 1) * DIGITS + 1))
            out = <char *> text.data + text.size
            put_position(&prefix, first + 1)
            for position in range(first, last):
                memcpy(out, prefix.text, prefix.length)
                out += prefix.length
                for c in range(columns):
                    out = put_number(out, values[c * size + (position - begin)])
                out[0] = b"\n"
                out += 1
                advance(&prefix, position + 2)
            text.size = out - <char *> text.data
    return text


cdef inline void put_position(Prefix *prefix, int64_t position) noexcept nogil:
    prefix.length = put_number(prefix.text + prefix.contig, position) - prefix.text


cdef inline void advance(Prefix *prefix, int64_t position) noexcept nogil:
    """Advance to ``position``, which must be the next one."""
    cdef char *digit = prefix.text + prefix.length - 1
    while digit[0] == 57:
        digit[0] = 48
        digit -= 1
    if digit[0] == 9:  # this is the tab, so the number has one more digit now
        put_position(prefix, position)
    else:
        digit[0] += 1


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
    """Return the index of the first of the sorted ends that is past a position."""
    cdef Py_ssize_t low = 0, high = ends.shape[0], middle
    while low < high:
        middle = (low + high) >> 1
        if ends[middle] <= position:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline char *put_number(char *out, int64_t value) noexcept nogil:
    """Write a tab and a number from 0 to 2^31 - 1; return the end."""
    cdef char digits[DIGITS]
    cdef unsigned int rest = <unsigned int> value
    cdef int count = 0
    out[0] = 9
    out += 1
    if rest < 10:
        out[0] = 48 + <char> rest
        return out + 1
    if rest < 100:
        out[0], out[1] = 48 + <char> (rest // 10), 48 + <char> (rest % 10)
        return out + 2
    while rest:
        digits[count] = 48 + <char> (rest % 10)
        rest //= 10
        count += 1
    while count:
        count -= 1
        out[0] = digits[count]
        out += 1
    return out
