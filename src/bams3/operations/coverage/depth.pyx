"""Depth of a piece of a contig, as it stands when all reads have been counted."""

from array import array

from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>

    #define LARGE ((size_t) 32 << 20)  /* bytes */

    /* Zeros; many of them in huge pages, where the system has them: faults cost more than sums. */
    static int *zeros_of(size_t bytes) {
        void *zeros;
        if (bytes < LARGE)
            return (int *) calloc(bytes, 1);
        zeros = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (zeros == MAP_FAILED)
            return NULL;
    #ifdef MADV_HUGEPAGE
        madvise(zeros, bytes, MADV_HUGEPAGE);
    #endif
        return (int *) zeros;
    }

    static void release_of(int *values, size_t bytes) {
        if (bytes < LARGE)
            free(values);
        else if (values)
            munmap(values, bytes);
    }
    """
    int *zeros_of(size_t size) nogil
    void release_of(int *values, size_t size) nogil


cdef int *zeros(long long count) noexcept nogil:
    """So many integers, all 0, or NULL; for `release`."""
    return zeros_of(<size_t> count * sizeof(int))


cdef void release(int *values, long long count) noexcept nogil:
    """Free what `zeros` gave."""
    release_of(values, <size_t> count * sizeof(int))


cdef class Depth:
    """Depth of the positions ``[start, start + length)`` of one contig; 0 until it is filled.

    ``found`` tells whether any read, counted or not, overlaps what has been counted so far.
    """

    def __cinit__(self, long long length, *, long long start=0):
        self.span = Span(NULL, start, length)
        if length < 0:
            raise ValueError("a length can't be negative")

    def __dealloc__(self):
        release(self.span.values, self.room)

    def __len__(self):
        return self.span.length

    def fill(self, long long begin, const int[::1] values):
        """Set the depth from ``begin`` on, and say that reads were found."""
        cdef long long offset = begin - self.span.start
        if not 0 <= offset <= self.span.length - values.shape[0]:
            raise ValueError(f"{values.shape[0]} depths from {begin} are not within this piece of the contig")
        self.found = True
        if values.shape[0] == 0:
            return
        if self.span.values == NULL:
            self.span.values = zeros(self.span.length)
            if self.span.values == NULL:
                raise MemoryError(f"no memory for the depth of {self.span.length} positions")
            self.room, self.low = self.span.length, offset
        memcpy(self.span.values + offset, &values[0], values.shape[0] * sizeof(int))
        self.low, self.high = min(self.low, offset), max(self.high, offset + values.shape[0])

    def summary(self, long long begin=0, long long stop=-1):
        """``(positions, bases, minimum, maximum)`` of the depth in ``[begin, stop)``, clipped to the contig.

        As in mosdepth, an interval beyond the contig has one position of depth 0 more.
        """
        cdef int *values = self.span.values
        cdef long long bases = 0, i
        cdef int least = 2147483647, most = -1
        stop = self.span.length if stop < 0 else min(stop, self.span.length + 1)
        begin = min(begin, stop)
        cdef long long first = min(max(begin, self.low), stop), last = max(min(stop, self.high), first)
        with nogil:
            for i in range(first, last):
                bases += values[i]
                least = min(least, values[i])
                most = max(most, values[i])
        if last - first < stop - begin:
            least, most = min(least, 0), max(most, 0)
        return stop - begin, bases, (least if stop > begin else None), max(most, 0)

    def values(self):
        """The depth of every position, as ``array('i')``."""
        result = array("i", bytes(4 * self.span.length))
        cdef int[::1] out = result
        cdef long long i
        for i in range(self.low, self.high):
            out[i] = self.span.values[i]
        return result
