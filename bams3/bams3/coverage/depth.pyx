"""Depth of consecutive positions of a contig, after all reads have been counted.

Only the stretches where depth changes are stored, so gaps and long skips take neither memory nor time.
"""

from array import array

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from bams3.buffer cimport Buffer

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/mman.h>

    #define LARGE ((size_t) 32 << 20)  /* bytes */
    #define PAGE ((uintptr_t) 2 << 20)

    /* Use huge pages if the system has them, because page faults take longer than the sums. */
    static void use_huge_pages(void *data, size_t bytes) {
    #ifdef MADV_HUGEPAGE
        uintptr_t begin = ((uintptr_t) data + PAGE - 1) & ~(PAGE - 1), end = ((uintptr_t) data + bytes) & ~(PAGE - 1);
        if (bytes >= LARGE)
            madvise((void *) begin, end - begin, MADV_HUGEPAGE);
    #endif
    }
    """
    void use_huge_pages(void *data, size_t size) nogil


cdef enum:
    LEAST = 1 << 14  # minimum and maximum number of integers in a segment
    MOST = 1 << 23


cdef class Pool:
    """A pool of integers in segments of growing size; integers never move."""

    def __cinit__(self):
        self.segments = Buffer()
        self.left = self.total = 0

    def __dealloc__(self):
        cdef size_t k
        for k in range(self.segments.size // sizeof(int *)):
            free((<int **> self.segments.data)[k])

    cdef int *take(self, size_t count) except NULL nogil:
        """Return room for ``count`` integers, at least one."""
        cdef size_t size
        cdef int *taken
        if count > self.left:
            size = max(count, min(max(self.total // 2, <size_t> LEAST), <size_t> MOST))
            taken = <int *> malloc(size * sizeof(int))
            if taken == NULL:
                with gil:
                    raise MemoryError(f"not enough memory for the depth of {size} positions")
            use_huge_pages(taken, size * sizeof(int))
            self.segments.put(&taken, sizeof(int *))
            self.free, self.left = taken, size
            self.total += size
        taken = self.free
        self.free += count
        self.left -= count
        return taken


cdef class Depth:
    """Depth of the positions ``[start, start + length)`` of one contig. It is 0 where nothing has been `put`.

    ``found`` is whether any read, counted or not, overlaps the positions counted so far.
    """

    def __cinit__(self, long long length, *, long long start=0):
        self.start, self.length = start, length
        self.stretches, self.pool = Buffer(), Pool()
        if length < 0:
            raise ValueError("a length can't be negative")

    def __len__(self):
        return self.length

    cdef int *append(self, long long begin, long long end) except NULL nogil:
        """Append a stretch, which must have at least one position, and return where to write its depths."""
        cdef Stretch *last = <Stretch *> (self.stretches.data + self.stretches.size) - 1
        cdef size_t count = <size_t> (end - begin)
        cdef int *values = self.pool.take(count)
        cdef Stretch stretch
        if self.stretches.size and last.end == begin and last.values + (last.end - last.begin) == values:
            last.end = end
        else:
            stretch = Stretch(begin, end, values)
            self.stretches.put(&stretch, sizeof(Stretch))
        return values

    cdef Part part(self, long long position, Py_ssize_t *near) noexcept nogil:
        """Return the positions from ``position`` to the end of its stretch, or of the gap between two stretches.

        ``near``: index of a stretch at or before the position, 0 if unknown; set to the first one that ends after it.
        """
        cdef const Stretch *stretches = <const Stretch *> self.stretches.data
        cdef Py_ssize_t count = self.stretches.size // sizeof(Stretch), k = near[0], step = 1
        if k < count and stretches[k].end <= position:  # most likely the next one
            k += 1
        while k + step <= count and stretches[k + step - 1].end <= position:
            k += step
            step *= 2
        while step > 1:
            step //= 2
            if k + step <= count and stretches[k + step - 1].end <= position:
                k += step
        near[0] = k
        if k < count and stretches[k].begin <= position:
            return Part(stretches[k].end, stretches[k].values + (position - stretches[k].begin), 0)
        return Part(
            stretches[k].begin if k < count else self.length, NULL,
            stretches[k - 1].values[stretches[k - 1].end - stretches[k - 1].begin - 1] if k else self.before)

    def put(self, long long begin, const int[::1] values):
        """Set the depth from ``begin`` on, and set ``found``. ``begin`` must lie past everything that was put before.
        The last value applies to all following positions."""
        cdef const Stretch *last = <const Stretch *> (self.stretches.data + self.stretches.size) - 1
        cdef long long offset = begin - self.start, least = last.end if self.stretches.size else 0
        if not least <= offset <= self.length - values.shape[0]:
            raise ValueError(f"{values.shape[0]} depths from {begin} lie outside this Depth, or are out of order")
        self.found = True
        if values.shape[0]:
            memcpy(self.append(offset, offset + values.shape[0]), &values[0], values.shape[0] * sizeof(int))

    def stretches_put(self):
        """Yield the arguments, start and values, of the calls of `put` that would produce this depth."""
        cdef Stretch stretch
        cdef size_t k
        for k in range(self.stretches.size // sizeof(Stretch)):
            stretch = (<Stretch *> self.stretches.data)[k]
            values = array("i")
            values.frombytes((<char *> stretch.values)[:(stretch.end - stretch.begin) * sizeof(int)])
            yield self.start + stretch.begin, values

    def summary(self, long long begin=0, long long stop=-1):
        """Return ``(positions, bases, minimum, maximum)`` of the depth in ``[begin, stop)``, clipped to the contig.

        As in mosdepth, an interval that extends past the contig has one additional position of depth 0.
        """
        cdef long long bases = 0, i, end
        cdef int least = 2147483647, most = 0
        cdef Py_ssize_t near = 0
        cdef Part part
        stop = self.length if stop < 0 else min(stop, self.length + 1)
        begin = min(begin, stop)
        cdef long long position = begin
        with nogil:
            while position < min(stop, self.length):
                part = self.part(position, &near)
                end = min(part.end, stop)
                if part.values == NULL:
                    bases += (end - position) * part.value
                    least, most = min(least, part.value), max(most, part.value)
                else:
                    for i in range(end - position):
                        bases += part.values[i]
                        least = min(least, part.values[i])
                        most = max(most, part.values[i])
                position = end
        if position < stop:
            least = min(least, 0)
        return stop - begin, bases, (least if stop > begin else None), most

    def copy_to(self, int[::1] out not None):
        """Write the depth of every position to ``out``, which must be all zeros."""
        cdef long long position = 0, i, end
        cdef Py_ssize_t near = 0
        cdef Part part
        if out.shape[0] != self.length:
            raise ValueError(f"{out.shape[0]} values do not match {self.length} positions")
        with nogil:
            while position < self.length:
                part = self.part(position, &near)
                end = min(part.end, self.length)
                if part.values != NULL:
                    memcpy(&out[position], part.values, (end - position) * sizeof(int))
                elif part.value:
                    for i in range(position, end):
                        out[i] = part.value
                position = end

    def values(self):
        """Return the depth of every position, as ``array('i')``."""
        result = array("i", bytes(4 * self.length))
        self.copy_to(result)
        return result
