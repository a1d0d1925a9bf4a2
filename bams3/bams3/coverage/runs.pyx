"""The positions at which reads count according to samtools depth, coverage and bedcov, or the bins of bamCoverage.

A read counts in runs of positions or of bins. `counted` converts the selected reads of a row group to reads whose
CIGARs have matches for these runs, and skips for everything else; `Tally` counts them like any other reads.
"""

from array import array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bams3.bam.fields cimport DELETION, REF_SKIP, SOFT_CLIP, UNMAP
from bams3.buffer cimport Buffer
from bams3.coverage.segments cimport CONSUMES

from bams3.coverage.damage import damaged, same_length

cdef enum:
    LONGEST = (1 << 28) - 1  # length of an operation

cdef class Runs:
    """Reads as `Tally.add` takes them, and the merged intervals ``[starts[k], ends[k])`` that they cover."""

    cdef readonly object pos, end, flag, previous, next_ref, next_pos, border_index, border_hash
    cdef readonly object cigar_start, cigar_count, cigar_pool
    cdef readonly object starts, ends
    cdef readonly Py_ssize_t records
    cdef readonly int reference_id
    cdef readonly int64_t reads, mapq_total  # of all selected records
    cdef readonly int64_t quality_total, quality_count  # of the bases that count
    cdef readonly bint aligned  # whether any read covers a position of the reference


def counted(group, const uint8_t[::1] mask not None, *, bint extents=False, bint deletions=False, int min_quality=0,
            bint pileup=False, const int64_t[::1] clip=None, int64_t begin=0, int64_t reach=0, int64_t sum_to=0,
            int64_t bin=1):
    """Return the `Runs` of the reads of a row group. A read counts where its bases are aligned.

    Parameters
    ----------
    group, mask
        The row group, and one byte per record: 1 if it is selected.
    extents
        Reads count from their start to their end.
    deletions
        Reads also count at deletions.
    min_quality
        Reads count only at bases with at least this quality. A deletion has the quality of the base after it; bases
        without a quality count.
    pileup
        As in htslib's pileup, an operation of length 0 takes a position from the next one, and reads that are unmapped
        or cover no position do not count.
    clip
        Record i does not count before ``clip[i]``.
    begin
        No read counts before this position.
    reach
        The greatest end in earlier row groups of the contig: samtools counts an unmapped read only before the end of an
        earlier read.
    sum_to
        The qualities of bases that count are summed from ``begin`` to this position.
    bin
        If greater than 1, the `Runs` are of bins of this many positions: a read counts once in each bin in which it
        counts at any position.

    Raises
    ------
    FormatError
        If columns contradict each other.
    """
    cdef Py_ssize_t n = group.records, i, chosen = 0, reads = 0, mapq_total = 0
    cdef const int32_t[::1] pos = group.pos, end = group.end, l_seq = None
    cdef const uint8_t[::1] mapq = None
    cdef const uint16_t[::1] flag = None
    cdef bint aligned = False
    cdef const uint32_t[::1] start = group.cigar_start, count = group.cigar_count, pool = group.cigar_pool
    cdef const uint32_t *cigars = &pool[0] if pool.shape[0] else NULL
    cdef const uint8_t[::1] quality = None
    cdef Buffer out_pos = Buffer(width=4), out_end = Buffer(width=4), out_start = Buffer(width=4)
    cdef Buffer out_count = Buffer(width=4), out = Buffer(width=4)
    cdef Buffer starts = Buffer(width=8), ends = Buffer(width=8)
    cdef int64_t offset = 0, first, last, left = 0, stop = 0, written
    cdef Bases bases = Bases(NULL, 0, min_quality, begin, sum_to, 0, 0)
    cdef Run run
    same_length(n, mask, pos, end, start, count)
    if clip is not None:
        same_length(n, clip)
    if min_quality > 0 or sum_to > begin:
        l_seq, quality = group.l_seq, group.qual
        same_length(n, l_seq)
        check_qualities(l_seq, quality)
    if sum_to > begin:
        mapq = group.mapq
        same_length(n, mapq)
    if pileup:
        flag = group.flag
        same_length(n, flag)
    check_cigars(start, count, pool.shape[0])
    with nogil:
        for i in range(n):
            if l_seq is not None:
                bases.quality = &quality[offset] if l_seq[i] else NULL
                bases.count = l_seq[i]
                offset += l_seq[i]
            if not mask[i]:
                continue
            reads += 1
            mapq_total += mapq[i] if mapq is not None else 0
            if flag is not None and (flag[i] & UNMAP or is_empty(cigars + start[i], count[i])):
                continue
            first, last = max(<int64_t> pos[i], begin), max(<int64_t> end[i], begin)
            reach = max(reach, last)
            if not chosen or stop < first:
                if chosen:
                    starts.put_u64(<uint64_t> left)
                    ends.put_u64(<uint64_t> stop)
                left = stop = first
            chosen += 1
            stop = max(stop, last)
            written = out.size // 4
            out_start.put_u32(<uint32_t> written)
            run = Run(0, 0, 0, max(first, clip[i]) if clip is not None else first, reach, bin)
            run.at = run.begin = run.end = first // bin
            out_pos.put_u32(<uint32_t> run.at)
            out_end.put_u32(<uint32_t> ((last + bin - 1) // bin))
            if extents:
                aligned |= put_span(out, &run, pos[i], cigars + start[i], count[i])
            else:
                aligned |= put_runs(out, &run, pos[i], cigars + start[i], count[i], &bases, deletions, end[i] if pileup else 0)
            write_run(out, &run)
            out_count.put_u32(<uint32_t> (out.size // 4 - written))
        if chosen:
            starts.put_u64(<uint64_t> left)
            ends.put_u64(<uint64_t> stop)
    cdef Runs found = Runs()
    found.records, found.reference_id = chosen, group.reference_id
    found.pos, found.end = column("i", out_pos), column("i", out_end)
    found.cigar_start, found.cigar_count = column("I", out_start), column("I", out_count)
    found.cigar_pool = column("I", out)
    found.flag, found.previous = array("H", bytes(2 * chosen)), array("i", b"\xff\xff\xff\xff" * chosen)
    found.next_ref = found.next_pos = found.previous
    found.border_index, found.border_hash = array("I"), array("Q")
    found.reads, found.mapq_total, found.aligned = reads, mapq_total, aligned
    found.quality_total, found.quality_count = bases.total, bases.number
    found.starts, found.ends = column("q", starts), column("q", ends)
    return found


cdef bint is_empty(const uint32_t *cigar, uint32_t operations) noexcept nogil:
    """Whether a read covers no position of the reference."""
    cdef uint32_t k
    for k in range(operations):
        if cigar[k] >> 4 and (CONSUMES >> ((cigar[k] & 15) << 1)) & 2:
            return False
    return True


cdef int put_span(Buffer out, Run *run, int64_t pos, const uint32_t *cigar, uint32_t operations) except -1 nogil:
    """Count a read from its start to its end; return whether it covers a position of the reference."""
    cdef int64_t position = pos
    cdef uint32_t k
    for k in range(operations):
        if (CONSUMES >> ((cigar[k] & 15) << 1)) & 2:
            position += cigar[k] >> 4
    put_run(out, run, pos, position)
    return position > pos


cdef int put_runs(Buffer out, Run *run, int64_t position, const uint32_t *cigar, uint32_t operations,
                  Bases *bases, bint deletions, int64_t most) except -1 nogil:
    """Count a read where its bases are aligned; return whether it covers a position of the reference. ``most`` is its
    end, for a pileup."""
    cdef int64_t base = 0, length, first, last = position, pos = position
    cdef uint32_t k, operation, consumes
    for k in range(operations):
        operation, length = cigar[k] & 15, cigar[k] >> 4
        consumes = (CONSUMES >> (operation << 1)) & 3
        if consumes & 2:
            first, last = max(position, last), position + length
            if most:
                last = min(max(last, first + 1), most)
            if consumes & 1:
                put_good(out, run, first, base + first - position, last - first, bases)
            elif operation == DELETION and deletions and passes(bases, base):
                put_run(out, run, first, last)
            position += length
        if consumes & 1:
            base += length
    return position > pos


cdef inline bint passes(const Bases *bases, int64_t base) noexcept nogil:
    return base >= bases.count or bases.quality[base] >= bases.least


cdef int put_good(Buffer out, Run *run, int64_t position, int64_t base, int64_t length, Bases *bases) except -1 nogil:
    """Count a read at its aligned bases that have the minimum quality."""
    cdef int64_t i = 0, first, k, known = min(max(bases.count - base, 0), length)
    while i < known:
        while i < known and bases.quality[base + i] < bases.least:
            i += 1
        first = i
        while i < known and bases.quality[base + i] >= bases.least:
            i += 1
        if first < i:
            put_run(out, run, position + first, position + i)
        for k in range(max(first, bases.begin - position), min(i, bases.stop - position)):
            bases.total += bases.quality[base + k]
            bases.number += 1
    if known < length:
        put_run(out, run, position + known, position + length)
    return 0


cdef inline int put_run(Buffer out, Run *run, int64_t begin, int64_t end) except -1 nogil:
    """Add positions to the runs of a read. They must not lie before positions that were added earlier."""
    begin, end = max(begin, run.least), min(end, run.most)
    if begin >= end:
        return 0
    if run.bin > 1:
        begin, end = begin // run.bin, (end - 1) // run.bin + 1
    if begin > run.end:
        write_run(out, run)
        run.begin = begin
    run.end = end
    return 0


cdef int write_run(Buffer out, Run *run) except -1 nogil:
    """Write the current run."""
    if run.begin < run.end:
        write(out, run.begin - run.at, REF_SKIP)
        write(out, run.end - run.begin, MATCH)
        run.at = run.begin = run.end
    return 0


cdef inline int write(Buffer out, int64_t length, uint32_t operation) except -1 nogil:
    while length > 0:
        out.put_u32(<uint32_t> min(length, <int64_t> LONGEST) << 4 | operation)
        length -= LONGEST
    return 0


cdef column(code, Buffer buffer):
    found = array(code)
    found.frombytes(buffer)
    return found


def check_cigars(const uint32_t[::1] start not None, const uint32_t[::1] count not None, int64_t operations):
    """Raise `FormatError` if CIGARs lie outside of the pool."""
    cdef Py_ssize_t i
    for i in range(start.shape[0]):
        if <int64_t> start[i] + count[i] > operations:
            raise damaged("CIGARs point outside of it")


def check_qualities(const int32_t[::1] l_seq not None, const uint8_t[::1] quality not None):
    """Raise `FormatError` if there are fewer qualities than bases."""
    cdef int64_t total = 0
    cdef Py_ssize_t i
    for i in range(l_seq.shape[0]):
        if l_seq[i] < 0:
            raise damaged("reads have a negative number of bases")
        total += l_seq[i]
    if total > quality.shape[0]:
        raise damaged("qualities are fewer than its bases")


def keep_long(uint8_t[::1] mask not None, group, int64_t minimum, *, bint soft_clips):
    """Clear the mask of records whose reads have fewer bases than ``minimum`` according to their CIGARs.

    Without ``soft_clips``, bases are counted as in samtools depth: SEQ without the soft clips at either end of its
    CIGAR or, if there is no SEQ, the aligned and inserted bases.
    """
    cdef Py_ssize_t n = group.records, i
    cdef const int32_t[::1] l_seq = None
    cdef const uint32_t[::1] start = group.cigar_start, count = group.cigar_count, pool = group.cigar_pool
    cdef const uint32_t *cigar
    cdef int64_t length
    cdef uint32_t k, last
    same_length(n, mask, start, count)
    check_cigars(start, count, pool.shape[0])
    if not soft_clips:
        l_seq = group.l_seq
        same_length(n, l_seq)
    with nogil:
        for i in range(n):
            cigar = &pool[start[i]] if count[i] else NULL
            length = 0
            if l_seq is not None and l_seq[i]:
                length = l_seq[i]
                k, last = 0, count[i]
                while k < count[i] and cigar[k] & 15 == SOFT_CLIP:
                    length -= cigar[k] >> 4
                    k += 1
                while last > k + 1 and cigar[last - 1] & 15 == SOFT_CLIP:
                    last -= 1
                    length -= cigar[last] >> 4
            else:
                for k in range(count[i]):
                    if (CONSUMES >> ((cigar[k] & 15) << 1)) & 1 and (soft_clips or cigar[k] & 15 != SOFT_CLIP):
                        length += cigar[k] >> 4
            if length < minimum:
                mask[i] = 0
