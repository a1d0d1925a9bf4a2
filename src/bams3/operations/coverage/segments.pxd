# The aligned segments of reads, counted in a difference array: a window of the contig, and a list of changes that are
# far from it. All inline and nogil.

from libc.stdlib cimport realloc


cdef struct Change:
    int position
    int change


cdef struct Far:
    Change *changes   # of depth, outside the window that reads are counted in; in any order
    size_t count
    size_t capacity
    long long begin   # the positions that count
    long long stop
    bint failed       # for want of memory


cdef struct Span:
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


cdef inline void bump(Span span, long long position, int change) noexcept nogil:
    """Depth changes at a position, of the window most likely."""
    cdef unsigned long long offset = <unsigned long long> (position - span.start)
    if offset < <unsigned long long> span.length:
        span.values[offset] += change
    else:
        bump_far(span, position, change)


cdef inline void bump_far(Span span, long long position, int change) noexcept nogil:
    """Keep a change outside the window. Before the first position that counts it is one there; past the last it is none."""
    cdef Far *far = span.far
    cdef size_t capacity
    cdef Change *changes
    position = max(position, far.begin)
    if position >= far.stop:
        return
    if 0 <= position - span.start < span.length:
        span.values[position - span.start] += change
        return
    if far.count == far.capacity:
        capacity = 2 * far.capacity or 1024
        changes = <Change *> realloc(far.changes, capacity * sizeof(Change))
        if changes == NULL:
            far.failed = True
            return
        far.changes, far.capacity = changes, capacity
    far.changes[far.count] = Change(<int> position, change)
    far.count += 1


cdef inline bint next_segment(Walk *walk) noexcept nogil:
    """Move to the next operation that aligns bases to the reference; False after the last."""
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


cdef inline long long add_segments(Span span, const unsigned int *cigar, unsigned int operations,
                                   long long pos) noexcept nogil:
    """Count the aligned bases of a read; returns the end of the last of them (``pos`` if there are none)."""
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


cdef inline void uncount_overlap(Span span, Mate *first, Mate *second) noexcept nogil:
    """Take away what two mates both cover: ``first`` came first, ``second`` is the record at hand.

    Mates of one CIGAR operation each are taken to overlap from the start of the second to the end of the
    first, even where the second ends before that: mosdepth's shortcut.
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
