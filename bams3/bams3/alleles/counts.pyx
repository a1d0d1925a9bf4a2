"""Counts of the reads' bases and deletions at sites, by strand.

Each site has WIDTH counts, int32: of A, C, G, T and other bases on the forward strand, the same on the reverse strand,
and deletions on either strand. The positions of sites are sorted; several sites may have the same position.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from bams3.alleles.piles cimport Pile
from bams3.alleles.reads cimport Reads
from bams3.alleles.walk cimport Read, Run, code_of, first_run, is_in, next_run, quality_at
from bams3.bam.fields cimport DELETION, MATCHES, REVERSE

from array import array

cdef extern from *:
    """
    static const unsigned char BAMS3_ROW[16] = {255, 0, 1, 4, 2, 4, 4, 4, 3, 4, 4, 4, 4, 4, 4, 4};
    """
    const uint8_t ROW_OF_CODE "BAMS3_ROW"[16]  # row of each base (4-bit code); NO_ROW for =

SITE_WIDTH = WIDTH
SYMBOLS = "ACGTNacgtn*#"
"""What is counted at each site, in this order; N stands for any other base."""


cdef struct Sites:
    const int64_t *position
    const uint8_t *ref      # the row of REF, or NO_ROW
    Py_ssize_t count
    int32_t *table          # of these sites
    int least               # minimum quality of a base that counts


def count_group(group, const uint8_t[::1] mask not None, const int64_t[::1] positions not None,
                const uint8_t[::1] refs not None, int least):
    """Count the bases and deletions at sites, of the records of a row group that `mask` selects.

    Parameters
    ----------
    group, mask
        The row group, and a byte for each of its records: 1 if it counts.
    positions
        0-based positions of the sites, sorted, shape (n,).
    refs
        For each site the row of REF, which `=` in a read stands for, or NO_ROW.
    least
        Minimum quality of a base that counts. If it is 0, qualities are not read.

    Returns
    -------
    array('i')
        WIDTH counts for each site.

    Raises
    ------
    FormatError
        For damaged columns.
    """
    cdef Reads reads = Reads(group, mask, False, least > 0)
    cdef Sites sites
    cdef Read read
    cdef Py_ssize_t i, low = 0
    cdef int64_t visited = 0 if group.reference_id == 0 else -1
    table = begun(&sites, positions, refs, least)
    with nogil:
        for i in range(reads.records):
            if reads.mask[i]:
                low = rows_before(sites.position, sites.count, low, reads.pos[i])
                if low < sites.count and sites.position[low] < reads.end[i]:
                    read = reads.read(i)
                    count_read(&sites, low, &read, visited)
    return table


def count_pile(Pile pile, const int64_t[::1] positions not None, const uint8_t[::1] refs not None, int least):
    """Like `count_group`, for the reads of a pile, with the qualities that they have there."""
    cdef Sites sites
    cdef Py_ssize_t i, low = 0
    table = begun(&sites, positions, refs, least)
    with nogil:
        for i in range(pile.count):
            low = rows_before(sites.position, sites.count, low, pile.reads[i].pos)
            count_read(&sites, low, &pile.reads[i], pile.least)
    return table


cdef begun(Sites *sites, const int64_t[::1] positions, const uint8_t[::1] refs, int least):
    cdef int32_t[::1] table
    if not 0 < positions.shape[0] == refs.shape[0]:
        raise ValueError(f"{refs.shape[0]} bases of the reference for {positions.shape[0]} sites")
    made = array("i", bytes(4 * WIDTH)) * positions.shape[0]
    table = made
    sites[0] = Sites(&positions[0], &refs[0], positions.shape[0], &table[0], least)
    return made


cdef inline void count_read(const Sites *sites, Py_ssize_t low, const Read *read, int64_t visited) noexcept nogil:
    """Count one read at the sites from `low` on. `visited`: the walk visits no position of any read before this one."""
    cdef Run run
    cdef int64_t at, base
    cdef Py_ssize_t k = low
    cdef bint reverse = (read.flag & REVERSE) != 0
    cdef uint8_t row
    if k == sites.count or sites.position[k] >= read.end or not first_run(&run, read, visited):
        return
    while k < sites.count:
        at = sites.position[k]
        while run.last <= at:
            if not next_run(&run, read):
                return
        if at >= run.first and (sites.least <= 0 or quality_at(read, &run, at) >= sites.least):
            if is_in(run.operation, MATCHES):
                base = run.base + at - run.at
                row = ROW_OF_CODE[code_of(read.seq, base)] if base < read.l_seq else <uint8_t> OTHER
                if row == NO_ROW:
                    row = sites.ref[k] if sites.ref[k] != NO_ROW else <uint8_t> OTHER
                sites.table[WIDTH * k + REVERSED * reverse + row] += 1
            elif run.operation == DELETION:
                sites.table[WIDTH * k + DELETIONS + reverse] += 1
        k += 1


def add_counts(int32_t[::1] table not None, const int64_t[::1] rows not None, const int32_t[::1] counts not None):
    """Add counts to some rows of a table. `rows` has the index of each of these rows in the table."""
    cdef Py_ssize_t k, row, i, width = counts.shape[0] // max(rows.shape[0], 1)
    if counts.shape[0] != width * rows.shape[0] or (rows.shape[0] and not width):
        raise ValueError(f"{counts.shape[0]} counts of {rows.shape[0]} rows")
    for k in range(rows.shape[0]):
        row = rows[k]
        if not 0 <= row < table.shape[0] // width:
            raise ValueError(f"there is no row {row}")
        for i in range(width):
            table[width * row + i] += counts[width * k + i]


def renumbered(const int32_t[::1] numbers not None, const int32_t[::1] known not None):
    """Replace each number by `known[number]`: array('i')."""
    cdef Py_ssize_t i
    cdef int32_t[::1] out
    made = array("i", bytes(4)) * numbers.shape[0]
    out = made
    for i in range(numbers.shape[0]):
        if not 0 <= numbers[i] < known.shape[0]:
            raise ValueError(f"there is no number {numbers[i]}")
        out[i] = known[numbers[i]]
    return made


def chosen(const uint8_t[::1] values not None, const int64_t[::1] rows not None):
    """The elements of `values` with the indices `rows`: bytes."""
    cdef Py_ssize_t k
    cdef uint8_t[::1] out
    made = bytearray(rows.shape[0])
    out = made
    for k in range(rows.shape[0]):
        if not 0 <= rows[k] < values.shape[0]:
            raise ValueError(f"there is no row {rows[k]}")
        out[k] = values[rows[k]]
    return bytes(made)
