"""What regions of a contig look like: mean and median depth, bases at or above thresholds.

Regions are given as ``array('q')`` of starts and of ends. What lies beyond the contig counts as mosdepth counts it:
the first base after the end has depth 0, all others do not exist, but the mean is over the region's full length.
"""

from array import array

from libc.string cimport memset

from bams3.coverage.depth cimport Depth

cdef enum:
    DEEPEST_MEDIAN = 65535  # medians are not told apart above this


cdef struct Piece:
    long long positions  # of the region that exist
    long long begin      # where depth may differ from 0
    long long stop


cdef Piece clip(Depth depth, long long start, long long end) noexcept nogil:
    cdef long long stop = min(end, depth.span.length + 1)
    cdef Piece piece
    start = min(start, stop)
    piece.positions = stop - start
    piece.begin = min(max(start, depth.low), stop)
    piece.stop = max(min(stop, depth.high), piece.begin)
    return piece


def means(Depth depth not None, const long long[::1] starts, const long long[::1] ends):
    """Mean depth of every region, ``array('d')``; 0 for an empty one.

    Summed as mosdepth sums, a quotient for each position in order, so that roundings agree.
    """
    result = array("d", bytes(8 * starts.shape[0]))
    cdef double[::1] out = result
    cdef const int *values = depth.span.values
    cdef double total, length
    cdef Piece piece
    cdef Py_ssize_t k
    cdef long long i
    with nogil:
        for k in range(starts.shape[0]):
            piece = clip(depth, starts[k], ends[k])
            total, length = 0, <double> (ends[k] - starts[k])
            for i in range(piece.begin, piece.stop):
                total += <double> values[i] / length
            out[k] = total
    return result


def medians(Depth depth not None, const long long[::1] starts, const long long[::1] ends):
    """Median depth of every region (the lower one of two), ``array('d')``; 0 for an empty one."""
    result = array("d", bytes(8 * starts.shape[0]))
    cdef double[::1] out = result
    cdef long long[::1] counts = array("q", bytes(8 * (DEEPEST_MEDIAN + 1)))
    cdef const int *values = depth.span.values
    cdef Piece piece
    cdef long long i, half, below
    cdef Py_ssize_t k
    cdef int value, top
    with nogil:
        for k in range(starts.shape[0]):
            piece = clip(depth, starts[k], ends[k])
            counts[0] = piece.positions - (piece.stop - piece.begin)
            top = 0
            for i in range(piece.begin, piece.stop):
                value = min(max(values[i], 0), DEEPEST_MEDIAN)
                top = max(top, value)
                counts[value] += 1
            half, below, value = (piece.positions + 1) // 2, counts[0], 0
            while below < half:
                value += 1
                below += counts[value]
            out[k] = value
            memset(&counts[0], 0, (top + 1) * sizeof(long long))
    return result


def bases_covered(Depth depth not None, const long long[::1] starts, const long long[::1] ends,
                  const long long[::1] thresholds):
    """Positions of depth >= each of the sorted ``thresholds``, ``array('q')``, a row for each region."""
    cdef Py_ssize_t width = thresholds.shape[0]
    result = array("q", bytes(8 * width * starts.shape[0]))
    cdef long long[::1] out = result
    cdef const int *values = depth.span.values
    cdef Piece piece
    cdef long long i
    cdef Py_ssize_t k, t
    with nogil:
        for k in range(starts.shape[0]):
            piece = clip(depth, starts[k], ends[k])
            for t in range(width):
                if thresholds[t] > 0:
                    break
                out[k * width + t] = piece.positions - (piece.stop - piece.begin)
            for i in range(piece.begin, piece.stop):
                for t in range(width):
                    if values[i] < thresholds[t]:
                        break
                    out[k * width + t] += 1
    return result
