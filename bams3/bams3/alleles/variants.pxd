# How the alleles of sites are counted: as a row of the site's counts, or by comparing reads with a pattern.

from libc.stdint cimport int32_t, int64_t, uint8_t

from bams3.alleles.counts cimport REVERSED
from bams3.buffer cimport Buffer

cdef enum:
    NOT_COUNTED = -1     # as a source or as a count
    FIRST_PATTERN = 4    # as a source, it means pattern 0; smaller sources are rows of counts


cdef struct Pattern:     # what a read must have
    const uint8_t *bases # these bases, upper or lower case, at the positions from `at` on, or inserted after `last`
    int32_t first        # bases at the positions [first, last], without insertions or deletions between them
    int32_t last
    int32_t at
    int32_t compared     # number of bases that are compared
    int32_t indel        # after `last`: number of inserted (positive) or deleted (negative) bases, 0: none; or ANY
    int32_t site
    bint is_reference    # whether `=` in a read matches the bases


cdef struct Hull:        # where ALTs differ from REF
    int64_t first        # the positions [first, last]
    int64_t last
    int64_t at           # the positions of replaced bases: [at, stop)
    int64_t stop
    int64_t anchor       # the last position that an insertion or a deletion follows; -1 if there is none
    bint has_pattern


cdef class Alleles:
    cdef readonly Py_ssize_t sites
    cdef bytes text      # the patterns point into it
    cdef const uint8_t *chars
    cdef Buffer begins   # int64: index of the first allele of each site; then the number of all alleles
    cdef Buffer sources  # int32: the source of each allele: a row of counts, a pattern, or NOT_COUNTED
    cdef Buffer patterns

    cdef int parse(self, int32_t site, int64_t position, int64_t begin, int64_t end) except -1 nogil
    cdef int put_source(self, int32_t source) except -1 nogil
    cdef int put_pattern(self, int64_t allele, const Pattern *pattern) except -1 nogil
    cdef int put_alternative(self, Hull *hull, int32_t site, int64_t position, const uint8_t *ref, int64_t ref_length,
                             const uint8_t *alt, int64_t length) except -1 nogil
    cdef int put_reference(self, const Hull *hull, int32_t site, int64_t position, const uint8_t *ref,
                           int64_t allele) except -1 nogil

    cdef inline int64_t first(self, Py_ssize_t site) noexcept nogil:
        return (<const int64_t *> self.begins.data)[site]

    cdef inline int32_t count(self, int64_t allele, const int32_t *of_site, const int32_t *of_patterns,
                              bint reverse) noexcept nogil:
        """The number of reads with an allele, on one strand; NOT_COUNTED if they are not counted."""
        cdef int32_t source = (<const int32_t *> self.sources.data)[allele]
        if source == NOT_COUNTED:
            return NOT_COUNTED
        if source < FIRST_PATTERN:
            return of_site[source + (REVERSED if reverse else 0)]
        return of_patterns[2 * (source - FIRST_PATTERN) + reverse]
