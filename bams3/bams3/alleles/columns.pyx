"""Counts of bases at each position, from piles."""

from libc.stdint cimport int32_t, int64_t

from bams3.alleles.piles cimport Pile
from bams3.alleles.walk cimport Read, Run, code_of, first_run, is_in, next_run, quality_at
from bams3.bam.fields cimport MATCHES, REF_SKIP, REVERSE

SYMBOLS = "ACGTNacgtn*#><"
"""What is counted, on the forward and on the reverse strand: bases (N: not A C G T), deletions, skips."""

cdef enum:
    N = 4
    REVERSED = 5         # first row for bases of reads on the reverse strand
    DELETIONS = 10
    SKIPS = 12
    READS = 14           # reads that cover the position, whether or not their base counts
    ROWS = 15

cdef extern from *:
    """
    static const int BAMS3_COLUMN[16] = {4, 0, 1, 4, 2, 4, 4, 4, 3, 4, 4, 4, 4, 4, 4, 4};
    """
    const int COLUMN "BAMS3_COLUMN"[16]


def count_symbols(Pile pile, int64_t begin, int min_quality, int32_t[:, ::1] table not None):
    """Count the symbols at the positions from `begin` on.

    `table`, zeros of shape (15, positions), gets a row for each of SYMBOLS, and one for the number of reads. Bases with
    a quality below `min_quality` do not count.
    """
    cdef int64_t stop = begin + table.shape[1]
    cdef Py_ssize_t i
    cdef Run run
    cdef const Read *read
    if table.shape[0] != ROWS:
        raise ValueError(f"a table of {table.shape[0]} rows, not {ROWS}")
    with nogil:
        for i in range(pile.count):
            read = &pile.reads[i]
            if read.end > begin and read.pos < stop and first_run(&run, read, pile.least):
                while run.first < stop:
                    if run.last > begin:
                        count_run(table, begin, stop, read, &run, min_quality)
                    if not next_run(&run, read):
                        break


cdef inline void count_run(int32_t[:, ::1] table, int64_t begin, int64_t stop, const Read *read, const Run *run,
                           int least) noexcept nogil:
    cdef int64_t at, base
    cdef bint reverse = (read.flag & REVERSE) != 0
    cdef int row = (SKIPS if run.operation == REF_SKIP else DELETIONS) + reverse
    cdef bint is_match = is_in(run.operation, MATCHES)
    for at in range(max(run.first, begin), min(run.last, stop)):
        table[READS, at - begin] += 1
        if quality_at(read, run, at) < least:
            continue
        if is_match:
            base = run.base + at - run.at
            row = (COLUMN[code_of(read.seq, base)] if base < read.l_seq else N) + REVERSED * reverse
        table[row, at - begin] += 1
