"""Replaces qualities that matter little: of bases that agree with a clear consensus of the reads at their position.

`WindowVotes` sums up the votes of the reads of one window, in any order. docs/lossy.md, "The rules of crumble-like",
has the rules. Their decisions do not depend on the qualities that are replaced, so applying them again changes nothing.
"""

from cpython cimport array
from libc.stdint cimport INT64_MAX, INT64_MIN, int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from bams3.bam.fields cimport (
    DELETION, DUP, INSERTION, MATCHES, MUNMAP, PAIRED, QCFAIL, QUERY, READ1, REFERENCE, SECONDARY, SOFT_CLIP, UNMAP,
    load_u32, record_cigar, record_cigar_count, record_flag, record_l_seq, record_mapq, record_next_pos,
    record_next_ref, record_pos, record_qual, record_ref, record_seq,
)  # fmt: skip
import array

from bams3.bam.records import RecordBlock

cdef enum:
    AGREED = 40  # the new quality of bases that agree with a clear consensus
    MISSING = 255  # a missing quality
    LEAST_MAPQ = 10  # minimum MAPQ of reads whose position is trusted
    SURE = 45  # decibans by which the consensus must be likelier than a heterozygous genotype
    MOST_VOTE = 3  # largest vote of a base that agrees: a heterozygous genotype would halve its probability
    DISSENT = 2  # added to the quality of a base that disagrees, to get its vote against the consensus
    NEAR = 32  # positions on either side of indels and clips
    BASES = 4  # A, C, G and T
    ROW = 8  # sums at a position: votes for each base, and votes of each base against the others

WINDOW_SHIFT = 16
LONGEST = (1 << WINDOW_SHIFT) - 4 * NEAR
"""Most positions that a read may cover, so that everything `NEAR` a window's reads is in this or an adjacent window."""

cdef array.array INT32 = array.array("i")
cdef array.array INT64 = array.array("q")
cdef array.array UINT8 = array.array("B")
cdef int64_t LONGEST_READ = LONGEST
cdef int8_t[16] NUMBER = [-1, 0, 1, -1, 2, -1, -1, -1, 3, -1, -1, -1, -1, -1, -1, -1]  # of each base, by its code


cdef inline int vote_of(int quality) noexcept nogil:
    return 3 if quality >= 20 else 2 if quality >= 10 else 1 if quality >= 5 else 0


cdef inline uint8_t base_at(const uint8_t *seq, int64_t i) noexcept nogil:
    return seq[i >> 1] >> (4 * (~i & 1)) & 15


cdef int64_t extent_of(const uint8_t *record) noexcept nogil:
    """The number of positions that a validated record covers, or 0 if its qualities never change: it is unmapped, has
    no bases or qualities, is too long, or its CIGAR does not fit its bases."""
    cdef int64_t i, positions = 0, bases = 0
    cdef const uint8_t *cigar = record_cigar(record)
    cdef uint32_t operation
    if record_flag(record) & UNMAP or record_ref(record) < 0 or record_pos(record) < 0:
        return 0
    if record_l_seq(record) == 0 or record_qual(record)[0] == MISSING:
        return 0
    for i in range(record_cigar_count(record)):
        operation = load_u32(cigar + 4 * i)
        positions += (operation >> 4) * (REFERENCE >> (operation & 15) & 1)
        bases += (operation >> 4) * (QUERY >> (operation & 15) & 1)
    return positions if bases == record_l_seq(record) and positions <= LONGEST_READ else 0


cdef int64_t alone_until(const uint8_t *record) noexcept nogil:
    """Where the mate begins, if it may overlap this read: from there on, only the mate counts."""
    cdef uint16_t flag = record_flag(record)
    if not flag & PAIRED or flag & MUNMAP or record_next_ref(record) != record_ref(record):
        return INT64_MAX
    if record_next_pos(record) > record_pos(record) or (
        record_next_pos(record) == record_pos(record) and flag & READ1
    ):
        return record_next_pos(record)
    return INT64_MAX


cdef class WindowVotes:
    """The votes of the reads of one window at each position, from `start` to the last end of a read.

    If not `whole`, the window has too many reads to be counted. Then qualities stay wherever these reads may lie.
    """

    cdef readonly int32_t reference_id
    cdef readonly int64_t window
    cdef readonly bint whole
    cdef int64_t start, width
    cdef int32_t[::1] votes, depth, unsure, breaks

    def __cinit__(self, int32_t reference_id, int64_t window, blocks, bint whole=True):
        cdef int64_t end = 0
        self.reference_id, self.window, self.whole = reference_id, window, whole
        self.start, self.width = INT64_MAX, 0
        if not whole:
            return
        for block in blocks:
            end = max(end, self.find_extent(block.data, block.offsets))
        if end == 0:
            return
        self.width = end - self.start + 1  # one more, because a read may be clipped after its last position
        self.votes = array.clone(INT32, ROW * self.width, zero=True)
        self.depth = array.clone(INT32, self.width, zero=True)
        self.unsure = array.clone(INT32, self.width, zero=True)
        self.breaks = array.clone(INT32, self.width, zero=True)
        for block in blocks:
            self.add(block.data, block.offsets)
        self.sum_up()

    cdef int64_t find_extent(self, const uint8_t[::1] data, const int64_t[::1] offsets):
        """Lower `start` to the first position of records, if that is less; return the last end of a record, or 0."""
        cdef int64_t i, extent, end = 0
        cdef const uint8_t *record
        with nogil:
            for i in range(offsets.shape[0] - 1):
                record = &data[offsets[i]]
                extent = extent_of(record)
                if extent:
                    self.start = min(self.start, <int64_t> record_pos(record))
                    end = max(end, record_pos(record) + extent)
        return end

    cdef void add(self, const uint8_t[::1] data, const int64_t[::1] offsets):
        cdef int64_t i
        with nogil:
            for i in range(offsets.shape[0] - 1):
                self.count(&data[offsets[i]])

    cdef void count(self, const uint8_t *record) noexcept nogil:
        """Count the votes of a read. Variant callers ignore secondary reads, duplicates, and reads that failed QC, so
        these have no votes."""
        cdef int64_t extent = extent_of(record), at = record_pos(record) - self.start, base = 0, i, length
        cdef int64_t until = alone_until(record) - self.start
        cdef const uint8_t *cigar = record_cigar(record)
        cdef const uint8_t *seq = record_seq(record)
        cdef const uint8_t *qual = record_qual(record)
        cdef uint32_t operation
        if extent == 0 or record_flag(record) & (SECONDARY | QCFAIL | DUP):
            return
        if record_mapq(record) < LEAST_MAPQ:
            self.unsure[at] += 1
            self.unsure[at + extent] -= 1
            return
        for i in range(record_cigar_count(record)):
            operation = load_u32(cigar + 4 * i)
            length, operation = operation >> 4, operation & 15
            if at >= until:
                return
            if MATCHES >> operation & 1:
                self.count_bases(seq, qual, base, at, min(length, until - at))
            elif operation == INSERTION or operation == DELETION or operation == SOFT_CLIP:
                self.breaks[at] += 1
                if operation == DELETION:
                    self.breaks[at + length] += 1
            base += length * (QUERY >> operation & 1)
            at += length * (REFERENCE >> operation & 1)

    cdef inline void count_bases(
        self, const uint8_t *seq, const uint8_t *qual, int64_t base, int64_t at, int64_t length
    ) noexcept nogil:
        cdef int64_t i
        cdef int number
        self.depth[at] += 1
        self.depth[at + length] -= 1
        for i in range(length):
            number = NUMBER[base_at(seq, base + i)]
            if number >= 0 and qual[base + i] != MISSING:
                self.votes[ROW * (at + i) + number] += vote_of(qual[base + i])
                self.votes[ROW * (at + i) + BASES + number] += qual[base + i] + DISSENT

    cdef void sum_up(self):
        """Convert changes of depth to depth."""
        cdef int64_t i
        with nogil:
            for i in range(1, self.width):
                self.depth[i] += self.depth[i - 1]
                self.unsure[i] += self.unsure[i - 1]


cdef struct Column:
    int32_t votes[8]
    int32_t depth
    int32_t unsure
    int32_t breaks


cdef inline void look_up(WindowVotes pile, int64_t position, Column *column) noexcept nogil:
    """Add the votes of the reads of one window at a position."""
    cdef int64_t i = position - pile.start, k
    if 0 <= i < pile.width:
        for k in range(ROW):
            column.votes[k] += pile.votes[ROW * i + k]
        column.depth += pile.depth[i]
        column.unsure += pile.unsure[i]
        column.breaks += pile.breaks[i]


cdef inline bint is_broken(const Column *column) noexcept nogil:
    """Whether more than one read, and at least one in sixteen, has an indel or is clipped here."""
    return column.breaks >= 2 and 16 * column.breaks >= column.depth


cdef inline uint8_t consensus_of(const Column *column) noexcept nogil:
    """The base of a clear consensus, as its code in SEQ, or 0 if there is none."""
    cdef int k, best = 0
    cdef int64_t sum
    if column.depth * MOST_VOTE < SURE:  # too few reads for a clear consensus
        return 0
    if 4 * column.unsure > column.depth + column.unsure:
        return 0
    for k in range(1, BASES):
        if column.votes[k] > column.votes[best]:
            best = k
    sum = column.votes[best] + column.votes[BASES + best]
    for k in range(BASES, ROW):
        sum -= column.votes[k]
    return 1 << best if sum >= SURE else 0


cdef class Consensus:
    """The consensus base of each position that reads of a window cover, or 0 where their qualities stay.

    `before` and `after` are the votes of the adjacent windows. If they are None or of other windows, they are ignored.
    """

    cdef int64_t start
    cdef uint8_t[::1] bases

    def __cinit__(self, WindowVotes before, WindowVotes own not None, WindowVotes after):
        cdef int64_t first, last, window = own.window
        self.start = own.start
        self.bases = array.clone(UINT8, own.width, zero=True)
        if before is None or before.reference_id != own.reference_id or before.window != window - 1:
            before = WindowVotes(own.reference_id, window - 1, ())
        if after is None or after.reference_id != own.reference_id or after.window != window + 1:
            after = WindowVotes(own.reference_id, window + 1, ())
        first, last = own.start, own.start + own.width
        if not before.whole:
            first = max(first, (window << WINDOW_SHIFT) + LONGEST_READ + NEAR)
        if not after.whole:
            last = min(last, ((window + 1) << WINDOW_SHIFT) - NEAR)
        if own.width:
            self.decide(before, own, after, first, last)

    cdef void decide(self, WindowVotes before, WindowVotes own, WindowVotes after, int64_t first, int64_t last):
        """Find the consensus in [first, last). Indels and clips up to `NEAR` outside of it are considered."""
        cdef int64_t position, i, broken = INT64_MIN
        cdef Column column
        with nogil:
            for position in range(first - NEAR, last + NEAR):
                memset(&column, 0, sizeof(Column))
                look_up(before, position, &column)
                look_up(own, position, &column)
                look_up(after, position, &column)
                if is_broken(&column):
                    broken = position + NEAR
                    for i in range(max(position - NEAR, first), min(position, last)):
                        self.bases[i - self.start] = 0
                if first <= position < last and position > broken:
                    self.bases[position - self.start] = consensus_of(&column)

    def simplified(self, block):
        """Return a copy of a block of the window's records in which all bases that agree with the consensus have the
        quality AGREED."""
        cdef const int64_t[::1] offsets = block.offsets
        cdef int64_t i, count = len(block), shift = offsets[0]
        cdef const uint8_t[::1] data = block.data
        cdef bytearray out = bytearray(data[shift:offsets[count]])
        cdef array.array new = array.clone(INT64, count + 1, zero=False)
        cdef int64_t[::1] starts = new
        cdef uint8_t[::1] to = out
        with nogil:
            for i in range(count + 1):
                starts[i] = offsets[i] - shift
            for i in range(count):
                self.simplify(&to[starts[i]])
        return RecordBlock(out, new)

    cdef void simplify(self, uint8_t *record) noexcept nogil:
        cdef int64_t at = record_pos(record) - self.start, base = 0, i, j, length
        cdef const uint8_t *cigar = record_cigar(record)
        cdef const uint8_t *seq = record_seq(record)
        cdef uint8_t *qual = <uint8_t *> record_qual(record)
        cdef uint8_t agreed
        cdef uint32_t operation
        if extent_of(record) == 0 or record_mapq(record) < LEAST_MAPQ:
            return
        for i in range(record_cigar_count(record)):
            operation = load_u32(cigar + 4 * i)
            length, operation = operation >> 4, operation & 15
            if MATCHES >> operation & 1:
                for j in range(length):
                    agreed = self.bases[at + j]
                    if agreed and agreed == base_at(seq, base + j) and qual[base + j] != MISSING:
                        qual[base + j] = AGREED
            base += length * (QUERY >> operation & 1)
            at += length * (REFERENCE >> operation & 1)
