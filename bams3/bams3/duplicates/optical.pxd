from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from bams3.duplicates.regex cimport PosixPattern


cdef struct Spot:
    # The place on a flow cell, according to the name of a read.
    int64_t x
    int64_t y
    int32_t begin  # of the part of the name that must be the same in reads near each other
    int32_t end


cdef struct Candidate:
    # A duplicate that may be an optical duplicate of another duplicate.
    Spot spot
    const char *name
    int64_t score
    int64_t number
    uint8_t has_mate
    uint8_t failed
    uint8_t optical


cdef class SpotParser:
    cdef PosixPattern pattern
    cdef int x, y, part
    cdef int find(self, const char *name, Spot *spot) noexcept nogil
    cdef int match(self, const char *name, Spot *spot) noexcept nogil


cdef bint near(
    const char *name, const Spot *spot, const char *other, const Spot *of_other, int64_t distance
) noexcept nogil
cdef void compare(Candidate *candidates, int64_t count, int64_t distance) noexcept nogil
