"""How often each depth occurs; of regions the mean, the median, the bases at or above thresholds.

Regions are given as ``array('q')`` of starts and of ends. What lies beyond the contig counts as mosdepth
counts it: the first base after the end has depth 0, all others do not exist, but the mean is over the
region's full length.
"""

from array import array

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from bams3.operations.coverage.depth cimport Depth

cdef enum:
    MAX_DEPTH = 400000      # deeper positions are counted as MAX_DEPTH - 10, as mosdepth does
    DEEPEST_MEDIAN = 65535  # medians are not told apart above this
    SHALLOW = 512           # a power of two; depths below are counted in LANES sets of counters, small enough for the cache
    LANES = 4


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


cdef class Histogram:
    """How many positions have each depth from 0 to 400,000."""

    cdef long long *counts
    cdef long long shallow[LANES][SHALLOW]  # in turn: a count that was just changed can't be changed at once
    cdef Py_ssize_t top
    cdef long long below, above   # positions of depths below 0, above MAX_DEPTH
    cdef long long missing        # bases of those that the counts do not tell
    cdef int least, most          # of those

    def __cinit__(self):
        self.counts = <long long *> calloc(MAX_DEPTH + 1, sizeof(long long))
        self.top = 0
        memset(self.shallow, 0, sizeof(self.shallow))
        self.least, self.most = 2147483647, 0
        if self.counts == NULL:
            raise MemoryError("no memory for a histogram of depths")

    def __dealloc__(self):
        free(self.counts)

    def count(self, Py_ssize_t depth):
        """Count one position of this depth."""
        if not 0 <= depth <= MAX_DEPTH:
            raise ValueError(f"a depth of {depth} can't be counted")
        self.counts[depth] += 1
        self.top = max(self.top, depth)

    def add(self, Depth depth not None, long long begin=0, long long stop=-1):
        """Count the positions ``[begin, stop)`` of a contig, clipped as in `Depth.summary`."""
        cdef const int *v = depth.span.values
        cdef long long i
        stop = depth.span.length if stop < 0 else min(stop, depth.span.length + 1)
        begin = min(begin, stop)
        cdef long long first = min(max(begin, depth.low), stop), last = max(min(stop, depth.high), first)
        with nogil:
            self.counts[0] += stop - begin - (last - first)
            i = first
            while i + LANES <= last:
                if <unsigned int> (v[i] | v[i + 1] | v[i + 2] | v[i + 3]) < SHALLOW:  # so each of them is
                    self.shallow[0][v[i]] += 1
                    self.shallow[1][v[i + 1]] += 1
                    self.shallow[2][v[i + 2]] += 1
                    self.shallow[3][v[i + 3]] += 1
                else:
                    self.count_any(v[i])
                    self.count_any(v[i + 1])
                    self.count_any(v[i + 2])
                    self.count_any(v[i + 3])
                i += LANES
            while i < last:
                self.count_any(v[i])
                i += 1

    cdef void count_any(self, int value) noexcept nogil:
        if <unsigned int> value > MAX_DEPTH:
            self.least, self.most = min(self.least, value), max(self.most, value)
            self.missing += value
            if value < 0:
                self.below += 1
                return
            self.above += 1
            value = MAX_DEPTH - 10
            self.missing -= value
        self.counts[value] += 1
        if value > self.top:
            self.top = value

    cdef void fold(self) noexcept nogil:
        """Add the shallow counters to ``counts``, as all that reads them needs."""
        cdef Py_ssize_t lane, value
        for lane in range(LANES):
            for value in range(SHALLOW):
                self.counts[value] += self.shallow[lane][value]
                if self.shallow[lane][value] and value > self.top:
                    self.top = value
        memset(self.shallow, 0, sizeof(self.shallow))

    def summary(self):
        """What `Depth.summary` says of the same positions."""
        counts = self.to_list()
        present = [depth for depth, count in enumerate(counts) if count]
        bases = sum(depth * counts[depth] for depth in present) + self.missing
        if self.above and counts[MAX_DEPTH - 10] == self.above:
            present.remove(MAX_DEPTH - 10)
        if self.below or self.above:
            present += [self.least, self.most]
        return sum(counts) + self.below, bases, min(present, default=None), max(0, *present)

    def merge(self, Histogram other not None):
        """Add the counts of another."""
        cdef Py_ssize_t i
        other.fold()
        for i in range(other.top + 1):
            self.counts[i] += other.counts[i]
        self.top = max(self.top, other.top)

    def to_list(self):
        """Counts of the depths 0, 1, ... up to the deepest."""
        self.fold()
        return [self.counts[i] for i in range(self.top + 1)]
