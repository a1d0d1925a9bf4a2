"""Optical duplicates: reads that, according to their names, were read near each other on a flow cell."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport qsort, strtol
from libc.string cimport memcmp, memcpy, strcmp

from bams3.duplicates.regex cimport PosixPattern, regexec, regmatch_t

cdef enum:
    LONGEST = 254  # most digits of a coordinate


cdef class SpotParser:
    """Parses read names into spots.

    By default, names are those of Illumina. `pattern`: a POSIX extended regular expression for other names. `order`:
    the order of its groups, such as txy: x and y are coordinates, t is a part of the name that must be the same.
    """

    def __cinit__(self, bytes pattern=b"", str order="txy"):
        self.pattern = PosixPattern(pattern)
        self.x, self.y, self.part = (order.find(letter) + 1 for letter in "xyt")
        if self.x > self.y:  # samtools does not distinguish them, either
            self.x, self.y = self.y, self.x

    cdef int find(self, const char *name, Spot *spot) noexcept nogil:
        """Parse a name. Return 0, or 1 if it has no coordinates, or -1 if it does not match the pattern."""
        return self.match(name, spot) if self.pattern.given else between_colons(name, spot)

    cdef int match(self, const char *name, Spot *spot) noexcept nogil:
        cdef regmatch_t[5] found
        if regexec(&self.pattern.compiled, name, 5 if self.part else 4, found, 0):
            return -1
        spot.begin = spot.end = 0
        if self.part:
            spot.begin, spot.end = found[self.part].rm_so, found[self.part].rm_eo
        if spot.begin == -1 or found[self.x].rm_so == -1 or found[self.y].rm_so == -1:
            return -1
        if number_in(name, &found[self.x], &spot.x) and number_in(name, &found[self.y], &spot.y):
            return 0
        return 1


cdef bint number_in(const char *name, const regmatch_t *where, int64_t *number) noexcept nogil:
    cdef char[LONGEST + 1] text
    cdef char *end
    cdef int32_t size = where.rm_eo - where.rm_so
    if size > LONGEST:
        return False
    memcpy(text, name + where.rm_so, size)
    text[size] = 0
    number[0] = strtol(text, &end, 10)
    return end != text


cdef int between_colons(const char *name, Spot *spot) noexcept nogil:
    """Parse a name with 3, 4, 6 or 7 colons: …:tile:x:y, …:lane:tile:x:y, or …:lane:tile:x:y:barcode."""
    cdef int32_t at = 0, colons = 0, x = 0, y = 0
    cdef char *end
    while name[at]:
        if name[at] == c":":
            colons += 1
            if colons == 2 or colons == 5:
                x = at + 1
            elif colons == 3 or colons == 6:
                y = at + 1
            elif colons == 4:
                x = y
                y = at + 1
        at += 1
    if colons < 3 or colons == 5 or colons > 7:
        return 1
    spot.x = strtol(name + x, &end, 10)
    if end == name + x:
        return 1
    spot.y = strtol(name + y, &end, 10)
    if end == name + y:
        return 1
    spot.begin, spot.end = 0, x
    return 0


cdef inline int64_t apart(int64_t a, int64_t b) noexcept nogil:
    return a - b if a > b else b - a


cdef bint near(
    const char *name, const Spot *spot, const char *other, const Spot *of_other, int64_t distance
) noexcept nogil:
    """Tell whether two spots are in the same part of the flow cell, at most `distance` apart both in x and in y."""
    cdef int32_t size = spot.end - spot.begin
    return (
        size == of_other.end - of_other.begin and memcmp(name + spot.begin, other + of_other.begin, size) == 0
        and apart(spot.x, of_other.x) <= distance and apart(spot.y, of_other.y) <= distance
    )


cdef int by_part_and_x(const void *a, const void *b) noexcept nogil:
    cdef const Candidate *one = <const Candidate *> a
    cdef const Candidate *other = <const Candidate *> b
    cdef int32_t size = one.spot.end - one.spot.begin, other_size = other.spot.end - other.spot.begin
    cdef int order
    if size != other_size:
        return size - other_size
    order = memcmp(one.name + one.spot.begin, other.name + other.spot.begin, size)
    return order if order else <int> (one.spot.x - other.spot.x)


cdef bint stays(const Candidate *one, const Candidate *other) noexcept nogil:
    """Tell whether `one` is the better of two candidates, so that `other` is its optical duplicate."""
    if one.has_mate != other.has_mate:
        return one.has_mate
    if one.failed != other.failed:
        return other.failed
    if one.score != other.score:
        return one.score > other.score
    return strcmp(other.name, one.name) >= 0


cdef void compare(Candidate *candidates, int64_t count, int64_t distance) noexcept nogil:
    """Find the optical duplicates among candidates: of two that are near each other, the worse one is."""
    cdef int64_t first = 0, end, other
    cdef int32_t size
    cdef Candidate *a
    cdef Candidate *b
    qsort(candidates, count, sizeof(Candidate), by_part_and_x)
    while first < count - 1:
        a = &candidates[first]
        size = a.spot.end - a.spot.begin
        end = first + 1
        while end < count:  # as in samtools, a part of another length does not end a run
            b = &candidates[end]
            if size == b.spot.end - b.spot.begin and memcmp(a.name + a.spot.begin, b.name + b.spot.begin, size):
                break
            end += 1
        while first < end:
            a = &candidates[first]
            other = first + 1
            while other < end and candidates[other].spot.x - a.spot.x <= distance:
                b = &candidates[other]
                other += 1
                if (a.optical and b.optical) or apart(a.spot.y, b.spot.y) > distance:
                    continue
                if stays(a, b):
                    b.optical = True
                else:
                    a.optical = True
            first += 1
