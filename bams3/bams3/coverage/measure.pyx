"""Histograms of depth, and for regions the mean, the median, and the numbers of bases at or above thresholds.

Regions are given as ``array('q')`` of starts and of ends. As in mosdepth, the first base past the end of the contig has
depth 0, and later ones do not exist; but the mean is over the full length of the region.
"""

from array import array

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from bams3.coverage.depth cimport Depth, Part

cdef enum:
    MAX_DEPTH = 400000      # deeper positions are counted as MAX_DEPTH - 10, as mosdepth does
    DEEPEST_MEDIAN = 65535  # greater medians are reported as this one
    SHALLOW = 512           # a power of two; smaller depths are counted in LANES sets of counters that fit in the cache
    LANES = 4


cdef inline long long existing(Depth depth, long long start, long long end) noexcept nogil:
    """Return the number of positions of a region that exist."""
    end = min(end, depth.length + 1)
    return end - min(start, end)


def means(Depth depth not None, const long long[::1] starts, const long long[::1] ends):
    """Return the mean depth of every region, ``array('d')``; 0 if a region is empty. Regions must be sorted by start.

    As in mosdepth, one quotient per position is summed, in order, so that rounding is the same.
    """
    result = array("d", bytes(8 * starts.shape[0]))
    cdef double[::1] out = result
    cdef double total, length, quotient
    cdef Part part
    cdef Py_ssize_t k, near = 0, at
    cdef long long i, position, stop, end
    with nogil:
        for k in range(starts.shape[0]):
            position, stop = starts[k], min(ends[k], depth.length)
            total, length = 0, <double> (ends[k] - starts[k])
            at = first_stretch(depth, position, &near)
            while position < stop:
                part = depth.part(position, &at)
                end = min(part.end, stop)
                if part.values != NULL:
                    for i in range(end - position):
                        total += <double> part.values[i] / length
                elif part.value:
                    quotient = <double> part.value / length
                    for i in range(end - position):
                        total += quotient
                position = end
            out[k] = total
    return result


cdef inline Py_ssize_t first_stretch(Depth depth, long long position, Py_ssize_t *near) noexcept nogil:
    """Return the first stretch that ends after a position; ``near`` is set to it."""
    depth.part(position, near)
    return near[0]


def medians(Depth depth not None, const long long[::1] starts, const long long[::1] ends):
    """Return the median depth of every region, ``array('d')``: the lower of two medians; 0 if a region is empty."""
    result = array("d", bytes(8 * starts.shape[0]))
    cdef double[::1] out = result
    cdef long long[::1] counts = array("q", bytes(8 * (DEEPEST_MEDIAN + 1)))
    cdef Part part
    cdef long long i, half, below, positions, position, stop, end
    cdef Py_ssize_t k, near = 0, at
    cdef int value, top
    with nogil:
        for k in range(starts.shape[0]):
            positions = existing(depth, starts[k], ends[k])
            position, stop = starts[k], min(ends[k], depth.length)
            counts[0] = positions - max(stop - position, 0)
            top = 0
            at = first_stretch(depth, position, &near)
            while position < stop:
                part = depth.part(position, &at)
                end = min(part.end, stop)
                for i in range(end - position if part.values != NULL else 1):
                    value = min(max(part.values[i] if part.values != NULL else part.value, 0), DEEPEST_MEDIAN)
                    top = max(top, value)
                    counts[value] += 1 if part.values != NULL else end - position
                position = end
            half, below, value = (positions + 1) // 2, counts[0], 0
            while below < half:
                value += 1
                below += counts[value]
            out[k] = value
            memset(&counts[0], 0, (top + 1) * sizeof(long long))
    return result


def bases_covered(Depth depth not None, const long long[::1] starts, const long long[::1] ends,
                  const long long[::1] thresholds):
    """Count the positions of each region with a depth of at least each of the sorted ``thresholds``.

    Returns an ``array('q')`` with one row per region.
    """
    cdef Py_ssize_t width = thresholds.shape[0]
    result = array("q", bytes(8 * width * starts.shape[0]))
    cdef long long[::1] out = result
    cdef Part part
    cdef long long i, position, stop, end
    cdef Py_ssize_t k, t, near = 0, at
    with nogil:
        for k in range(starts.shape[0]):
            position, stop = starts[k], min(ends[k], depth.length)
            for t in range(width):
                if thresholds[t] > 0:
                    break
                out[k * width + t] = existing(depth, starts[k], ends[k]) - max(stop - position, 0)
            at = first_stretch(depth, position, &near)
            while position < stop:
                part = depth.part(position, &at)
                end = min(part.end, stop)
                if part.values == NULL:
                    for t in range(width):
                        if part.value < thresholds[t]:
                            break
                        out[k * width + t] += end - position
                else:
                    for i in range(end - position):
                        for t in range(width):
                            if part.values[i] < thresholds[t]:
                                break
                            out[k * width + t] += 1
                position = end
    return result


cdef class Histogram:
    """The number of positions with each depth from 0 to 400,000."""

    cdef long long shallow[LANES][SHALLOW]  # used in turn: updating the same counter twice in a row would stall
    cdef long long *deep          # counts of depths >= SHALLOW; NULL: none so far
    cdef Py_ssize_t top
    cdef long long below, above   # positions of depths below 0, above MAX_DEPTH
    cdef long long missing        # bases of these positions that the counts do not include
    cdef int least, most          # minimum and maximum depth of these positions
    cdef bint failed              # out of memory

    def __cinit__(self):
        self.top = 0
        memset(self.shallow, 0, sizeof(self.shallow))
        self.least, self.most = 2147483647, 0

    def __dealloc__(self):
        free(self.deep)

    def count_means(self, const double[::1] means, int deepest):
        """Count each mean depth as the depth of one position, rounded, and limited to ``deepest``."""
        cdef Py_ssize_t k
        for k in range(means.shape[0]):
            self.put(<int> min(means[k] + 0.5, <double> deepest), 1)
        self.check()

    def add(self, Depth depth not None, long long begin=0, long long stop=-1):
        """Count the positions ``[begin, stop)`` of a contig, clipped as in `Depth.summary`."""
        with nogil:
            self.put_interval(depth, begin, depth.length if stop < 0 else stop, 0)
        self.check()

    def add_regions(self, Depth depth not None, const long long[::1] starts, const long long[::1] ends):
        """Count the positions of every region, sorted by start; each is clipped as in `Depth.summary`."""
        cdef Py_ssize_t k, near = 0
        if starts.shape[0] != ends.shape[0]:
            raise ValueError(f"{starts.shape[0]} starts do not match {ends.shape[0]} ends")
        with nogil:
            for k in range(starts.shape[0]):
                self.put_interval(depth, starts[k], ends[k], first_stretch(depth, starts[k], &near))
        self.check()

    cdef void put_interval(self, Depth depth, long long begin, long long stop, Py_ssize_t near) noexcept nogil:
        """Count an interval; ``near`` as for `Depth.part`."""
        cdef long long position, end
        cdef Part part
        stop = min(stop, depth.length + 1)
        position = min(begin, stop)
        while position < min(stop, depth.length):
            part = depth.part(position, &near)
            end = min(part.end, stop)
            if part.values == NULL:
                self.put(part.value, end - position)
            else:
                self.put_each(part.values, end - position)
            position = end
        if position < stop:
            self.put(0, stop - position)

    cdef void put_each(self, const int *v, long long count) noexcept nogil:
        cdef long long i = 0
        while i + LANES <= count:
            if <unsigned int> (v[i] | v[i + 1] | v[i + 2] | v[i + 3]) < SHALLOW:  # all four are shallow
                self.shallow[0][v[i]] += 1
                self.shallow[1][v[i + 1]] += 1
                self.shallow[2][v[i + 2]] += 1
                self.shallow[3][v[i + 3]] += 1
            else:
                self.put(v[i], 1)
                self.put(v[i + 1], 1)
                self.put(v[i + 2], 1)
                self.put(v[i + 3], 1)
            i += LANES
        while i < count:
            self.put(v[i], 1)
            i += 1

    cdef void put(self, int value, long long positions) noexcept nogil:
        """Count positions of one depth."""
        if <unsigned int> value < SHALLOW:
            self.shallow[0][value] += positions
            return
        if <unsigned int> value > MAX_DEPTH:
            self.least, self.most = min(self.least, value), max(self.most, value)
            self.missing += value * positions
            if value < 0:
                self.below += positions
                return
            self.above += positions
            value = MAX_DEPTH - 10
            self.missing -= value * positions
        if self.deep == NULL:
            self.deep = <long long *> calloc(MAX_DEPTH + 1 - SHALLOW, sizeof(long long))
            if self.deep == NULL:
                self.failed = True
                return
        self.deep[value - SHALLOW] += positions
        self.top = max(self.top, value)

    cdef int check(self) except -1:
        if self.failed:
            raise MemoryError("not enough memory for a histogram of depths")
        return 0

    cdef void fold(self) noexcept nogil:
        """Sum the sets of shallow counters into the first one, which all readers use."""
        cdef Py_ssize_t lane, value
        for lane in range(1, LANES):
            for value in range(SHALLOW):
                self.shallow[0][value] += self.shallow[lane][value]
        memset(&self.shallow[1], 0, sizeof(self.shallow) - sizeof(self.shallow[0]))
        for value in range(self.top, SHALLOW):
            if self.shallow[0][value]:
                self.top = value

    def summary(self):
        """Return what `Depth.summary` returns for the same positions."""
        counts = self.to_list()
        present = [depth for depth, count in enumerate(counts) if count]
        bases = sum(depth * counts[depth] for depth in present) + self.missing
        if self.above and counts[MAX_DEPTH - 10] == self.above:
            present.remove(MAX_DEPTH - 10)
        if self.below or self.above:
            present += [self.least, self.most]
        return sum(counts) + self.below, bases, min(present, default=None), max([0] + present)

    def merge(self, Histogram other not None):
        """Add the counts of another histogram."""
        cdef int i
        other.fold()
        for i in range(other.top + 1):
            if count := other.shallow[0][i] if i < SHALLOW else other.deep[i - SHALLOW]:
                self.put(i, count)
        self.check()

    def to_list(self):
        """Return the counts of the depths 0, 1, …, up to the deepest."""
        self.fold()
        shallow = [self.shallow[0][i] for i in range(min(self.top + 1, SHALLOW))]
        return shallow + [self.deep[i - SHALLOW] for i in range(SHALLOW, self.top + 1)]


cdef class RunningSums:
    """Sums of depth from the start of a contig up to each of some borders.

    ``borders`` are sorted positions, ``array('q')``. Once the depth of all positions before the last border has been
    added, ``bases[k]`` is the sum of depth over the positions before ``borders[k]``, and ``covered[k]`` is the number
    of these positions with a depth of at least ``least``; both are ``array('q')``.
    """

    cdef readonly object borders, bases, covered
    cdef int least
    cdef Py_ssize_t at              # the borders before this one are done
    cdef long long total, positions # up to here

    def __cinit__(self, borders, *, int least=1):
        self.borders, self.least = borders, least
        self.bases, self.covered = array("q", bytes(8 * len(borders))), array("q", bytes(8 * len(borders)))
        self.at = self.total = self.positions = 0

    def add(self, Depth depth not None):
        """Add the depth of the positions that follow those added so far."""
        cdef const long long[::1] borders = self.borders
        cdef long long[::1] bases = self.bases, covered = self.covered
        cdef long long position = 0, end, i
        cdef Py_ssize_t near = 0
        cdef Part part
        with nogil:
            while True:
                while self.at < borders.shape[0] and borders[self.at] <= depth.start + position:
                    bases[self.at], covered[self.at] = self.total, self.positions
                    self.at += 1
                if self.at == borders.shape[0] or position == depth.length:
                    break
                part = depth.part(position, &near)
                end = min(min(part.end, depth.length), borders[self.at] - depth.start)
                if part.values == NULL:
                    self.total += part.value * (end - position)
                    self.positions += end - position if part.value >= self.least else 0
                else:
                    for i in range(end - position):
                        self.total += part.values[i]
                        self.positions += part.values[i] >= self.least
                position = end
