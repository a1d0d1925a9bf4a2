# The positions at which a read counts, for kernels.

from libc.stdint cimport int64_t, uint8_t, uint32_t

from bams3.buffer cimport Buffer

cdef enum:
    MATCH = 0  # the operation of a run

cdef struct Run:
    int64_t at     # end of the runs that have been written
    int64_t begin  # the current run, which may still grow
    int64_t end
    int64_t least  # the read counts only in [least, most)
    int64_t most
    int64_t bin    # positions in a bin; runs are counted in bins


cdef struct Bases:
    const uint8_t *quality
    int64_t count
    int least      # minimum quality
    int64_t begin  # positions whose qualities are summed
    int64_t stop
    int64_t total  # sum and number of these qualities
    int64_t number


cdef bint is_empty(const uint32_t *cigar, uint32_t operations) noexcept nogil
cdef int put_span(Buffer out, Run *run, int64_t pos, const uint32_t *cigar, uint32_t operations) except -1 nogil
cdef int put_runs(Buffer out, Run *run, int64_t position, const uint32_t *cigar, uint32_t operations,
                  Bases *bases, bint deletions, int64_t most) except -1 nogil
cdef int write_run(Buffer out, Run *run) except -1 nogil
