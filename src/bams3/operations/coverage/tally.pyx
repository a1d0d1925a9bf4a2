"""Reads in, depth out: a difference array along one contig, and its running sum.

Counting follows mosdepth 0.3.3 to the letter, its treatment of overlapping mates above all: see `Tally.add`.
"""

from cpython cimport array
from array import array as new_array

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bams3.operations.coverage.depth cimport Depth, release, zeros
from bams3.operations.coverage.segments cimport Mate, Span, add_segments, bump, uncount_overlap

from bams3.errors import FormatError

cdef enum:
    BASES = 0
    SPANS = 1
    FRAGMENTS = 2

cdef enum:
    UNMAPPED = 4
    PROPER_PAIR = 2
    READ2 = 128
    SUPPLEMENTARY = 2048

cdef enum:
    WORTH_TAKING = 1 << 16  # positions: so many fit in a core's cache
    MOST_WAITING = 4096     # reads that wait for their mates are searched if they are no more

cdef array.array INT32 = new_array("i")


cdef class Tally:
    """Counts reads over the positions ``[start, start + length)`` of one contig.

    ``add`` row groups in coordinate order; ``finish`` gives the `Depth`. Or, with ``in_pieces``, ask after each
    row group for what is ``settled``, so that only a window of the contig is ever in memory; ``finish`` then gives the rest.
    ``mode`` is ``"bases"`` (aligned bases, overlapping mates once), ``"spans"`` (mosdepth's fast mode: start to end
    with deletions and skips, mates not corrected) or ``"fragments"`` (whole fragments of proper pairs). A read counts
    if no bit of ``exclude_flags`` is set, one of ``include_flags`` is (0: any read), and mapping quality and ``abs(TLEN)``
    are in range.
    """

    cdef Span span           # positions whose depth has not been given out
    cdef long long room      # integers at span.values
    cdef long long low, high # depth may change within; relative to span.start
    cdef int depth           # before the first position of the span
    cdef bint found, in_pieces
    cdef int mode
    cdef unsigned int exclude_flags, include_flags
    cdef int min_mapq
    cdef long long min_fragment, max_fragment
    cdef int reference_id
    cdef dict carried
    cdef long long latest

    def __cinit__(self, long long length, *, long long start=0, int reference_id=0, str mode="bases",
                  int exclude_flags=1796, int include_flags=0, int min_mapq=0,
                  long long min_fragment=-1, long long max_fragment=-1, bint in_pieces=False):
        self.span = Span(NULL, start, length)
        self.mode = ("bases", "spans", "fragments").index(mode)
        self.exclude_flags, self.include_flags, self.min_mapq = exclude_flags, include_flags, min_mapq
        self.min_fragment, self.max_fragment = min_fragment, max_fragment
        self.reference_id = reference_id
        self.carried = {}
        self.low, self.high = length, 0
        self.latest = start
        # A fragment may begin far before its read; an unmapped read ends before its CIGAR does.
        self.in_pieces = in_pieces and self.mode != FRAGMENTS and exclude_flags & UNMAPPED
        if length < 0:
            raise ValueError("a length can't be negative")

    def __dealloc__(self):
        release(self.span.values, self.room)

    def add(self, group, accept=None):
        """Count the reads of a row group (`chunk.reader.RowGroup`); only the columns needed are touched.

        ``accept`` (a byte for each record, 0: leave out) is a further filter. Overlapping mates are told
        by name, as mosdepth does: a read of a proper pair that reaches its mate's start is remembered under
        its name; the next of that name which does not is corrected against it, and the name forgotten.
        A name is the chain of ``previous`` within the row group; between row groups it is ``border_hash``,
        which at least one record of every template found in several row groups must have in each of them.
        Raises `FormatError` if columns contradict each other.
        """
        cdef Py_ssize_t n = group.records
        if n == 0:
            return
        self._prepare(n, group.pos, group.end)
        mask = self._mask(n, group, accept)
        if self.mode == SPANS:
            self._add_spans(n, group.pos, group.end, group.flag, mask)
        elif self.mode == FRAGMENTS:
            self._add_fragments(n, group.pos, group.flag, group.next_pos, group.tlen, mask)
        else:
            self._add_reads(n, group, mask)

    def _prepare(self, Py_ssize_t n, const int[::1] pos, const int[::1] end):
        """Have room for these reads; note whether any overlaps, and where the last one is."""
        cdef long long begin = self.span.start, stop = begin + self.span.length, reach = stop
        cdef int furthest
        cdef Py_ssize_t i
        same_length(n, pos, end)
        for i in range(0 if self.found else n):
            if pos[i] < stop and end[i] > begin:
                self.found = True
                break
        if self.in_pieces:
            if 0 < begin and pos[0] < begin:
                raise damaged("records are not in the order of their positions")
            furthest = end[0]
            for i in range(n):
                furthest = max(furthest, end[i])
            reach = max(begin, furthest)
        self.latest = pos[n - 1]
        self._grow(min(reach, stop) - begin + 1)

    cdef int _grow(self, long long wanted) except -1:
        """Have room for so many integers."""
        cdef long long room = wanted if wanted > self.span.length else min(wanted + wanted // 4, self.span.length + 1)
        cdef int *values
        if wanted <= self.room:
            return 0
        values = zeros(room)
        if values == NULL:
            raise MemoryError(f"no memory for the depth of {room} positions")
        if self.room:
            memcpy(values, self.span.values, self.room * sizeof(int))
        release(self.span.values, self.room)
        self.span.values, self.room = values, room
        return 0

    cdef Span reached(self) noexcept nogil:
        """The part of the span that there is room for."""
        return Span(self.span.values, self.span.start, min(self.span.length, self.room - 1))

    def _mask(self, Py_ssize_t n, group, accept):
        """1 for reads that pass all filters but that of flags, 0 for the others; None if all do."""
        cdef const unsigned char[::1] mapq = None, accepted = accept
        cdef const int[::1] tlen = None
        cdef bint by_length = self.min_fragment > 0 or self.max_fragment >= 0
        cdef long long fragment
        cdef unsigned char[::1] keep
        cdef Py_ssize_t i
        if not by_length and self.min_mapq <= 0 and accept is None:
            return None
        mask = bytearray(b"\1") * n
        keep = mask
        if self.min_mapq > 0:
            mapq = group.mapq
            same_length(n, mapq)
        if by_length:
            tlen = group.tlen
            same_length(n, tlen)
        if accept is not None:
            same_length(n, accepted)
        with nogil:
            if mapq is not None:
                for i in range(n):
                    keep[i] &= mapq[i] >= self.min_mapq
            if by_length:
                for i in range(n):
                    fragment = tlen[i] if tlen[i] >= 0 else -<long long> tlen[i]
                    keep[i] &= fragment >= self.min_fragment and (
                        self.max_fragment < 0 or fragment <= self.max_fragment)
            if accepted is not None:
                for i in range(n):
                    keep[i] &= accepted[i] != 0
        return mask

    def _add_spans(self, Py_ssize_t n, const int[::1] pos, const int[::1] end, const unsigned short[::1] flag,
                   const unsigned char[::1] mask):
        cdef Span span = self.reached()
        cdef unsigned int none_of = self.exclude_flags, one_of = self.include_flags
        cdef long long low = 1LL << 62, high = -1
        cdef Py_ssize_t i
        same_length(n, flag)
        with nogil:
            for i in range(n):
                if counts(flag[i], none_of, one_of) and (mask is None or mask[i]):
                    bump(span, pos[i], 1)
                    bump(span, end[i], -1)
                    low, high = min(low, pos[i]), max(high, end[i])
            self.touch(low, high)

    def _add_fragments(self, Py_ssize_t n, const int[::1] pos, const unsigned short[::1] flag,
                       const int[::1] next_pos, const int[::1] tlen, const unsigned char[::1] mask):
        cdef Span span = self.reached()
        cdef unsigned int none_of = self.exclude_flags, one_of = self.include_flags
        cdef long long begin, end, length, low = 1LL << 62, high = -1
        cdef Py_ssize_t i
        same_length(n, flag, next_pos, tlen)
        with nogil:
            for i in range(n):
                if flag[i] & (PROPER_PAIR | READ2 | SUPPLEMENTARY) != PROPER_PAIR or not counts(flag[i], none_of, one_of):
                    continue
                if mask is not None and not mask[i]:
                    continue
                length = tlen[i]
                begin = min(pos[i], next_pos[i])
                end = begin + (length if length >= 0 else -length)
                bump(span, begin, 1)
                bump(span, end, -1)
                low, high = min(low, begin), max(high, end)
            self.touch(low, high)

    def _add_reads(self, Py_ssize_t n, group, const unsigned char[::1] mask):
        """Count aligned bases; ``pending[root]`` is the remembered read of a template: see `add`.

        0: none; k > 0: record k - 1 of this row group; k < 0: ``held[-k - 1]``, from an earlier one.
        """
        cdef const int[::1] pos = group.pos, end = group.end, previous = group.previous
        cdef const int[::1] next_ref = group.next_ref, next_pos = group.next_pos
        cdef const unsigned short[::1] flag = group.flag
        cdef const unsigned int[::1] start = group.cigar_start, count = group.cigar_count
        cdef const unsigned int[::1] pool = group.cigar_pool
        cdef const unsigned int *cigars = &pool[0] if pool.shape[0] else NULL
        cdef unsigned long long operations = pool.shape[0]
        cdef array.array roots = array.clone(INT32, n, False), states = array.clone(INT32, n, True)
        cdef int[::1] root = roots, pending = states
        cdef Span span = self.reached()
        cdef unsigned int none_of = self.exclude_flags, one_of = self.include_flags
        cdef long long low = 1LL << 62, high = -1
        cdef int reference = self.reference_id
        cdef int state, back, none, waits
        cdef bint good = True
        cdef Mate earlier, later
        cdef Py_ssize_t i
        same_length(n, flag, previous, next_ref, next_pos, start, count)
        held = self._resume(group, previous, pending)
        cdef Held remembered = held
        with nogil:
            for i in range(n):
                back = previous[i]
                if not -1 <= back < i or <unsigned long long> start[i] + count[i] > operations:
                    good = False
                    break
                none = back >> 31  # -1 or 0: whether a record is the first of its name is hard to predict
                root[i] = (root[back & ~none] & ~none) | (<int> i & none)
                if not counts(flag[i], none_of, one_of) or (mask is not None and not mask[i]):
                    continue
                if flag[i] & (PROPER_PAIR | SUPPLEMENTARY) == PROPER_PAIR:
                    state = pending[root[i]]
                    waits = (end[i] > next_pos[i]) & (next_ref[i] == reference) & (
                        (pos[i] < next_pos[i]) | ((pos[i] == next_pos[i]) & (state == 0)))
                    pending[root[i]] = (<int> i + 1) & -waits
                    if state and not waits:
                        later = Mate(pos[i], end[i], cigars + start[i], count[i])
                        if state > 0:
                            state -= 1
                            earlier = Mate(pos[state], end[state], cigars + start[state], count[state])
                        else:
                            earlier = remembered.mates[-state - 1]
                        uncount_overlap(span, &earlier, &later)
                low = min(low, pos[i])
                high = max(high, end[i], add_segments(span, cigars + start[i], count[i], pos[i]))
            self.touch(low, high)
        if not good:
            raise damaged("name chains or CIGARs point outside of it")
        self._carry(group, root, pending, held)

    def _resume(self, group, const int[::1] previous, int[::1] pending):
        """Give the templates of this row group the reads that earlier row groups remember of them."""
        cdef Held held = Held()
        cdef const unsigned int[::1] index
        cdef const unsigned long long[::1] hashes
        cdef Py_ssize_t k, n = previous.shape[0], record, steps = 0
        if not self.carried:
            return held
        index, hashes = group.border_index, group.border_hash
        same_length(index.shape[0], hashes)
        for k in range(index.shape[0]):
            if hashes[k] in self.carried:
                record = index[k]
                while record < n and 0 <= previous[record] < record and steps < n:
                    record = previous[record]
                    steps += 1
                if record >= n or previous[record] != -1:  # each step is in the chain of another record
                    raise damaged("border names a record that it does not have, or one name by two hashes")
                held.reads.append(self.carried.pop(hashes[k]))
                pending[record] = -len(held.reads)
        held.view()
        return held

    def _carry(self, group, const int[::1] root, const int[::1] pending, Held held):
        """Remember, for later row groups, what is still pending in templates that may go on there."""
        cdef const unsigned int[::1] index = group.border_index
        cdef const unsigned long long[::1] hashes = group.border_hash
        cdef Py_ssize_t k
        cdef int state
        same_length(index.shape[0], hashes)
        for k in range(index.shape[0]):
            if index[k] >= root.shape[0]:
                raise damaged("border names a record that it does not have")
            state = pending[root[index[k]]]
            if state < 0:
                self.carried[hashes[k]] = held.reads[-state - 1]
            elif state > 0:
                i = state - 1
                begin = group.cigar_start[i]
                cigar = group.cigar_pool[begin:begin + group.cigar_count[i]]
                self.carried[hashes[k]] = (group.pos[i], group.end[i], cigar)

    cdef void touch(self, long long begin, long long end) noexcept nogil:
        """Note that depth may change in ``[begin, end]``: elsewhere nothing is summed or searched."""
        begin = max(begin - self.span.start, 0)
        end = min(end - self.span.start, self.span.length, self.room - 1)
        if begin < end:
            self.low, self.high = min(self.low, begin), max(self.high, end)

    def settled(self):
        """The `Depth` of the positions that no read to come can change, from where the last piece ended; or None,
        if they are few."""
        cdef long long position = self.latest
        if not self.in_pieces or len(self.carried) > MOST_WAITING:
            return None
        # Mates of one operation each may change depth from the end of the first: see `uncount_overlap`.
        for _, end, cigar in self.carried.values():
            if len(cigar) == 1:
                position = min(position, end)
        position = min(position - self.span.start, self.span.length, self.room - 1)
        return self._take(position) if position >= WORTH_TAKING else None

    def finish(self):
        """The `Depth` of all positions that have not been given out."""
        return self._take(self.span.length)

    cdef Depth _take(self, long long length):
        """The depth of the first positions of the span, which goes on after them."""
        cdef Depth taken = Depth(length, start=self.span.start)
        cdef int *values = self.span.values
        cdef int *rest = NULL
        cdef long long i
        cdef int depth = self.depth
        if values != NULL and length < self.span.length:
            rest = zeros(self.room)
            if rest == NULL:
                raise MemoryError(f"no memory for the depth of {self.room} positions")
            memcpy(rest, values + length, (self.room - length) * sizeof(int))
        taken.found = self.found
        if min(self.low, length) < min(self.high, length):
            taken.low, taken.high = min(self.low, length), min(self.high, length)
        taken.span.values, taken.room = values, self.room
        with nogil:
            for i in range(taken.low, taken.high):
                depth += values[i]
                values[i] = depth
        self.span = Span(rest, self.span.start + length, self.span.length - length)
        if rest == NULL:
            self.room = 0
        if self.high > length:
            self.low, self.high, self.depth = max(self.low - length, 0), self.high - length, depth
        else:
            self.low, self.high, self.depth = self.span.length, 0, 0
        return taken


cdef inline bint counts(unsigned int flag, unsigned int none_of, unsigned int one_of) noexcept nogil:
    """Does a read with this FLAG count?"""
    return not flag & none_of and (not one_of or flag & one_of)


cdef class Held:
    """Reads carried over from earlier row groups, for kernels: ``mates[k]`` shows ``reads[k]``."""

    cdef list reads
    cdef Mate *mates

    def __cinit__(self):
        self.reads = []
        self.mates = NULL

    def __dealloc__(self):
        free(self.mates)

    def view(self):
        """Fill ``mates`` from ``reads``, tuples of start, end and CIGAR (``array('I')``)."""
        cdef const unsigned int[::1] cigar
        cdef Py_ssize_t k
        self.mates = <Mate *> calloc(len(self.reads) or 1, sizeof(Mate))
        if self.mates == NULL:
            raise MemoryError("no memory for the mates of a row group")
        for k, (pos, end, operations) in enumerate(self.reads):
            cigar = operations
            self.mates[k].pos, self.mates[k].end = pos, end
            self.mates[k].operations = <unsigned int> cigar.shape[0]
            if cigar.shape[0]:
                self.mates[k].cigar = &cigar[0]


def same_length(Py_ssize_t n, *columns):
    """Raise `FormatError` unless every column has ``n`` values."""
    for column in columns:
        if len(column) != n:
            raise FormatError(
                f"a row group of {n} records has a column of {len(column)} values: the chunk is damaged")


def damaged(what):
    """The error for a row group of which `what` is true."""
    return FormatError(f"a row group's {what}: the chunk is damaged")
