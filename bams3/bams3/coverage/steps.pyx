# Compiled with -O1: no run spends its time here.
"""Runs of equal depth as columns: starts, ends and depths."""

from array import array

from bams3.buffer cimport Buffer
from bams3.coverage.depth cimport Depth, Part


cdef class Steps:
    """The runs of equal depth of a contig, from consecutive `Depth`s.

    For each `Depth`, call `add` until it returns the end; after the last one, call `end`. `take` returns pending runs.
    """

    cdef Buffer starts, ends, depths
    cdef long long begin  # start of the run whose end is not known yet, or -1
    cdef int value
    cdef Py_ssize_t most

    def __cinit__(self, Py_ssize_t most):
        self.most, self.begin = most, -1
        self._empty()

    def _empty(self):
        self.starts, self.ends, self.depths = Buffer(width=4), Buffer(width=4), Buffer(width=4)

    @property
    def pending(self):
        """Number of runs that have not been taken."""
        return self.starts.size // 4

    def add(self, Depth depth not None, long long position):
        """Add runs from a position of the contig on, until ``most`` runs are pending; return the next position."""
        cdef long long start = depth.start, stop = start + depth.length, i, count
        cdef Py_ssize_t near = 0
        cdef Part part
        with nogil:
            while position < stop and self.starts.size < 4 * <size_t> self.most:
                part = depth.part(position - start, &near)
                if part.values == NULL:
                    self.step(position, part.value)
                    position = start + part.end
                    continue
                i, count = 0, start + part.end - position
                while i < count and self.starts.size < 4 * <size_t> self.most:
                    self.step(position + i, part.values[i])
                    i += 1
                    while i < count and part.values[i] == self.value:
                        i += 1
                position += i
        return position

    cdef inline int step(self, long long position, int value) except -1 nogil:
        """Begin a run at a position, unless the previous run has the same depth."""
        if self.begin >= 0 and value == self.value:
            return 0
        self.close(position)
        self.begin, self.value = position, value
        return 0

    cdef int close(self, long long position) except -1 nogil:
        if 0 <= self.begin < position:
            self.starts.put_u32(<unsigned int> self.begin)
            self.ends.put_u32(<unsigned int> position)
            self.depths.put_u32(<unsigned int> max(self.value, 0))
        return 0

    def end(self, long long position):
        """Add the contig's last run, which ends at a position."""
        self.close(position)
        self.begin = -1

    def take(self):
        """Remove the pending runs, and return their starts, ends and depths as ``array('I')``."""
        taken = tuple(array("I", bytes(column)) for column in (self.starts, self.ends, self.depths))
        self._empty()
        return taken
