"""Finds the bases that most reads have in a window of the reference, where these differ from the first read's base.

Only positions at which a read differs are counted, so a window with few reads or few differences takes little time.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from bams3.bam.fields cimport DELETION, MATCHES, REFERENCE
from bams3.buffer cimport Buffer
from bams3.codec.bases cimport from_two_bits, trailing_zeros

cdef extern from *:
    int ones "__builtin_popcountll" (uint64_t bits) nogil


cdef class Votes:
    """Counts of reads. ``against`` has a uint32 for each read base that differs: position in the window << 2 | base."""

    def __cinit__(self, int64_t length, Buffer against not None):
        cdef const uint32_t *given = <const uint32_t *> against.data
        cdef int64_t number = against.size // 4, k, place, counted = 0
        self.length, self.words = length, length // 64 + 1
        self.marks = <uint64_t *> calloc(self.words, sizeof(uint64_t))
        self.before = <uint32_t *> malloc(self.words * sizeof(uint32_t))
        if self.marks != NULL and self.before != NULL:
            with nogil:
                for k in range(number):
                    place = given[k] >> 2
                    self.marks[place >> 6] |= 1ULL << (place & 63)
                for k in range(self.words):
                    self.before[k] = <uint32_t> counted
                    counted += ones(self.marks[k])
            self.change = <int32_t *> calloc(counted + 1, sizeof(int32_t))
            self.against = <uint32_t *> calloc(4 * counted + 1, sizeof(uint32_t))
        if self.change == NULL or self.against == NULL:
            raise MemoryError("not enough memory for the reference of a row group")
        with nogil:
            for k in range(number):
                self.against[4 * self.rank(given[k] >> 2) + (given[k] & 3)] += 1

    def __dealloc__(self):
        free(self.marks)
        free(self.before)
        free(self.change)
        free(self.against)

    cdef int64_t rank(self, int64_t place) noexcept nogil:
        """Number of counted positions before ``place``, which may be the end of the window."""
        return self.before[place >> 6] + ones(self.marks[place >> 6] & ((1ULL << (place & 63)) - 1))

    cdef void cover(self, int64_t at, const uint32_t *cigar, uint32_t count) noexcept nogil:
        """Count a read at the positions that it covers. It begins at position ``at`` of the window."""
        cdef uint32_t j, operation
        cdef int64_t length
        for j in range(count):
            operation = cigar[j] & 15
            length = cigar[j] >> 4
            if at >= self.length:
                return
            if ((MATCHES >> operation) & 1) or operation == DELETION:
                self.change[self.rank(at)] += 1
                self.change[self.rank(min(at + length, self.length))] -= 1
            if (REFERENCE >> operation) & 1:
                at += length

    cdef void elect(self, uint8_t *bases) noexcept nogil:
        """Replace the window's base at each position where more than half of the reads agree on a different one."""
        cdef int64_t k, at, place = 0, depth = 0
        cdef uint64_t left
        cdef int code
        for k in range(self.words):
            left = self.marks[k]
            while left:
                at = 64 * k + trailing_zeros(left)
                left &= left - 1
                depth += self.change[place]
                for code in range(4):
                    if 2 * <int64_t> self.against[4 * place + code] > depth:
                        bases[at] = from_two_bits(<uint8_t> code)
                place += 1
