# Compiled with -O1: no run spends its time here.
"""Sums over the reads of each contig in a row group that several share."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from bams3.bam.fields cimport UNMAP
from bams3.buffer cimport Buffer
from bams3.coverage.runs cimport MATCH, Bases, Run, is_empty, put_runs, put_span, write_run

from bams3.coverage.damage import damaged, same_length
from bams3.coverage.runs import check_cigars, check_qualities


def sums_of_contigs(group, const uint8_t[::1] mask not None, const int64_t[::1] stops not None, *,
                    bint extents=False, int min_quality=0, bint qualities=False):
    """Sum over the reads of each contig in a row group that several contigs share.

    Reads are selected and count as in `runs.counted` with ``pileup``.

    Parameters
    ----------
    group, mask
        The row group, and one byte per record: 1 if it is selected.
    stops
        For each contig, by reference id, the position before which reads count.
    extents, min_quality
        As in `runs.counted`.
    qualities
        Whether to sum qualities; otherwise these sums are 0.

    Returns
    -------
    list of tuple
        For each contig, in order: reference id; number of selected reads; sum of their mapping qualities; sum and
        number of the qualities of bases that count; whether any read covers a position of the reference; number of
        positions covered; sum of their depths; greatest depth.

    Raises
    ------
    FormatError
        If columns contradict each other.
    """
    cdef Py_ssize_t n = group.records, i = 0
    cdef const int32_t[::1] pos = group.pos, end = group.end, contigs = group.reference_ids, l_seq = None
    cdef const uint8_t[::1] mapq = None, quality = None
    cdef const uint16_t[::1] flag = group.flag
    cdef const uint32_t[::1] start = group.cigar_start, count = group.cigar_count, pool = group.cigar_pool
    cdef const uint32_t *cigars = &pool[0] if pool.shape[0] else NULL
    cdef const uint32_t *cigar
    cdef Buffer out = Buffer(width=4), begins = Buffer(width=8), ends = Buffer(width=8)
    cdef int64_t offset = 0, reads, mapq_total, stop, covered, depth, deepest
    cdef Bases bases = Bases(NULL, 0, min_quality, 0, 0, 0, 0)
    cdef Run run
    cdef bint aligned
    cdef int32_t contig
    same_length(n, mask, pos, end, start, count, contigs, flag)
    if min_quality > 0 or qualities:
        l_seq, quality = group.l_seq, group.qual
        same_length(n, l_seq)
        check_qualities(l_seq, quality)
    if qualities:
        mapq = group.mapq
        same_length(n, mapq)
    check_cigars(start, count, pool.shape[0])
    found = []
    while i < n:
        contig = contigs[i]
        if not 0 <= contig < stops.shape[0]:
            raise damaged("records refer to a reference that does not exist")
        stop = stops[contig]
        reads = mapq_total = bases.total = bases.number = 0
        bases.stop = stop if qualities else 0
        aligned = False
        begins.size = ends.size = 0
        with nogil:
            while i < n and contigs[i] == contig:
                if l_seq is not None:
                    bases.quality = &quality[offset] if l_seq[i] else NULL
                    bases.count = l_seq[i]
                    offset += l_seq[i]
                if mask[i]:
                    reads += 1
                    mapq_total += mapq[i] if mapq is not None else 0
                    cigar = cigars + start[i]
                    if not flag[i] & UNMAP and not is_empty(cigar, count[i]):
                        out.size = 0
                        run = Run(0, 0, 0, 0, end[i], 1)
                        if extents:
                            aligned |= put_span(out, &run, pos[i], cigar, count[i])
                        else:
                            aligned |= put_runs(out, &run, pos[i], cigar, count[i], &bases, False, end[i])
                        write_run(out, &run)
                        put_bounds(begins, ends, out, stop)
                i += 1
            sum_depth(begins, ends, &covered, &depth, &deepest)
        found.append((contig, reads, mapq_total, bases.total, bases.number, aligned, covered, depth, deepest))
    return found


cdef int put_bounds(Buffer begins, Buffer ends, Buffer runs, int64_t stop) except -1 nogil:
    """Append where the runs of a read begin and end, clipped to the positions before `stop`. No run is empty;
    `sum_depth` relies on that."""
    cdef const uint32_t *operations = <const uint32_t *> runs.data
    cdef int64_t at = 0, length
    cdef size_t k
    for k in range(runs.size // 4):
        length = operations[k] >> 4
        if operations[k] & 15 == MATCH and length and at < stop:
            begins.put_u64(<uint64_t> at)
            ends.put_u64(<uint64_t> min(at + length, stop))
        at += length
    return 0


cdef int ascending(const void *a, const void *b) noexcept nogil:
    cdef int64_t left = (<const int64_t *> a)[0], right = (<const int64_t *> b)[0]
    return (left > right) - (left < right)


cdef void sum_depth(Buffer begins, Buffer ends, int64_t *covered, int64_t *depth, int64_t *deepest) noexcept nogil:
    """Sum depth over the positions of runs. Depth does not depend on which end belongs to which beginning, so
    beginnings and ends are sorted independently."""
    cdef int64_t *begin = <int64_t *> begins.data
    cdef int64_t *end = <int64_t *> ends.data
    cdef size_t n = begins.size // 8, i, ended = 0
    cdef int64_t until = 0
    covered[0] = depth[0] = deepest[0] = 0
    if n > 1:
        qsort(begin, n, sizeof(int64_t), ascending)
        qsort(end, n, sizeof(int64_t), ascending)
    for i in range(n):
        while end[ended] <= begin[i]:
            ended += 1
        deepest[0] = max(deepest[0], <int64_t> (i + 1 - ended))
        depth[0] += end[i] - begin[i]
        covered[0] += end[i] - max(begin[i], until)
        until = end[i]
