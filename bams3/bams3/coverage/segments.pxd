# Counts the aligned segments of reads in a difference array, which covers a window of the contig, and in a list of
# changes far from it. Everything here is inline and nogil.

from bams3.coverage.changes cimport Far, keep_far


cdef struct DepthWindow:
    int *values
    long long start
    long long length
    Far *far


# Two bits for each CIGAR operation MIDNSHP=XB: 1 consumes the query, 2 the reference (htslib's table).
cdef enum:
    CONSUMES = 0x3C1A7


cdef struct Mate:
    long long pos
    long long end
    const unsigned int *cigar
    unsigned int operations


cdef struct Walk:
    const unsigned int *cigar
    unsigned int left
    long long begin
    long long end


cdef inline void bump(const DepthWindow *span, long long position, int change) noexcept nogil:
    """Record a change of depth at a position, which is probably in the window."""
    cdef unsigned long long offset = <unsigned long long> (position - span.start)
    if offset < <unsigned long long> span.length:
        span.values[offset] += change
    else:
        keep_far(span.far, position, change)


cdef inline bint next_segment(Walk *walk) noexcept nogil:
    """Move to the next operation that aligns bases to the reference; returns False if there is none."""
    cdef unsigned int operation, consumes
    while walk.left:
        operation = walk.cigar[0]
        consumes = (CONSUMES >> ((operation & 15) << 1)) & 3
        walk.cigar += 1
        walk.left -= 1
        if consumes & 2:
            walk.begin = walk.end
            walk.end += operation >> 4
            if consumes & 1:
                return True
    return False


cdef inline long long add_segments(const DepthWindow *span, const unsigned int *cigar, unsigned int operations,
                                   long long pos) noexcept nogil:
    """Count the aligned bases of a read; return the end of the last one (``pos`` if there are none)."""
    cdef Walk walk
    cdef long long end = pos
    if operations == 1 and cigar[0] & 15 == 0:
        end = pos + (cigar[0] >> 4)
        bump(span, pos, 1)
        bump(span, end, -1)
        return end
    walk = Walk(cigar, operations, pos, pos)
    while next_segment(&walk):
        bump(span, walk.begin, 1)
        bump(span, walk.end, -1)
        end = walk.end
    return end


cdef inline void uncount_overlap(const DepthWindow *span, Mate *first, Mate *second) noexcept nogil:
    """Subtract the bases that both mates cover. ``first`` came earlier, ``second`` is the current record.

    As a shortcut of mosdepth, mates with one CIGAR operation each are assumed to overlap from the start of the second
    to the end of the first, even if the second ends before that.
    """
    cdef Walk a, b
    cdef bint more_a, more_b
    if first.operations == 1 and second.operations == 1:
        bump(span, second.pos, -1)
        bump(span, first.end, 1)
        return
    a = Walk(first.cigar, first.operations, first.pos, first.pos)
    b = Walk(second.cigar, second.operations, second.pos, second.pos)
    more_a, more_b = next_segment(&a), next_segment(&b)
    while more_a and more_b:
        if a.begin < b.end and b.begin < a.end:
            bump(span, max(a.begin, b.begin), -1)
            bump(span, min(a.end, b.end), 1)
        if a.end < b.end:
            more_a = next_segment(&a)
        else:
            more_b = next_segment(&b)


cdef inline bint counts(unsigned int flag, unsigned int none_of, unsigned int one_of) noexcept nogil:
    """Tell whether a read with this FLAG counts."""
    return not flag & none_of and (not one_of or flag & one_of)
