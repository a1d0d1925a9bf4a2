"""Counts reads: the changes of depth along one contig, and their running sum.

Changes are counted in a difference array, a window of the contig about as long as a row group. Before the window, and
far from it, only the positions where depth changes are kept. So positions where no read begins or ends take neither
memory nor time.

Counting follows mosdepth 0.3.3 exactly, including its treatment of overlapping mates: see `Tally.add`.
"""

from cpython cimport array
from array import array as new_array

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from bams3.bam.fields cimport PROPER_PAIR, READ2, SUPPLEMENTARY, UNMAP
from bams3.buffer cimport Buffer
from bams3.coverage.changes cimport BLOCK, Far, keep_blocks, merge, settle
from bams3.coverage.depth cimport Depth
from bams3.coverage.held cimport Held
from bams3.coverage.segments cimport Mate, DepthWindow, Walk, add_segments, bump, counts, next_segment, uncount_overlap

from bams3.coverage.damage import damaged, same_length

cdef enum:
    BASES = 0
    EXTENTS = 1
    FRAGMENTS = 2

cdef enum:
    WORTH_TAKING = 1 << 16  # minimum number of positions to return at a time; they fit into a core's cache
    SMALL = 1 << 17         # positions that a window may always have, plus …
    SPARSE = 64             # … this many for each change of depth
    BEHIND = 1 << 16        # positions before a row group's first read in which fragments are likely to begin
    MOST_WAITING = 4096     # reads that wait for their mates are searched only if there are at most this many
    LAST = 0x7FFFFFFF       # the greatest position
    APART = 64              # minimum distance in positions between two islands

cdef struct Island:  # the extent of reads that lie close together
    long long begin
    long long end

cdef array.array INT32 = new_array("i")


cdef class Tally:
    """Counts reads over the positions ``[start, start + length)`` of one contig.

    Call ``add`` with the row groups in coordinate order; ``finish`` returns the `Depth`. If ``incremental``, call
    ``settled`` after each row group, so that only a window of the contig is in memory; ``finish`` then returns the
    rest.

    ``mode`` is ``"bases"`` (aligned bases, with overlapping mates counted once), ``"extents"`` (mosdepth's fast mode:
    from start to end with deletions and skips, without correction for mates) or ``"fragments"`` (whole fragments of
    proper pairs). A read counts if no bit of ``exclude_flags``, and at least one bit of ``include_flags`` (0: no
    condition), is set.
    """

    cdef DepthWindow window     # the positions in which reads are counted; earlier positions are in `behind`
    cdef long long room  # integers allocated at window.values; they are 0 past the window and outside islands
    cdef Buffer islands  # Island structs in order: where depth may change in the window or past it
    cdef Far far         # changes elsewhere; depth from far.begin on has not been returned yet
    cdef Depth behind    # changes of depth from far.begin to the window
    cdef int depth       # depth before far.begin
    cdef long long added # changes since depth was last returned
    cdef bint found, incremental
    cdef int mode
    cdef unsigned int exclude_flags, include_flags
    cdef int reference_id
    cdef dict carried
    cdef long long latest

    def __cinit__(self, long long length, *, long long start=0, int reference_id=0, str mode="bases",
                  int exclude_flags=1796, int include_flags=0, bint incremental=False):
        self.far = Far(NULL, 0, 0, start, start + length, False)
        self.window = DepthWindow(NULL, start, 0, &self.far)
        self.islands = Buffer()
        self.mode = ("bases", "extents", "fragments").index(mode)
        self.exclude_flags, self.include_flags = exclude_flags, include_flags
        self.reference_id = reference_id
        self.carried = {}
        self.latest = start
        self.incremental = incremental and self.mode != FRAGMENTS  # a fragment may begin far before its read
        self.behind = Depth(length, start=start)
        if not 0 <= start <= start + length < 1LL << 31:
            raise ValueError(f"{start}-{start + length} is not a valid range of positions")

    def __dealloc__(self):
        free(self.window.values)
        free(self.far.changes)

    def add(self, group, const unsigned char[::1] mask=None):
        """Count the reads of a row group (`chunk.reader.RowGroup`); only the needed columns are decoded.

        ``mask`` (one byte per record, 0: it does not count) is an additional condition. As in mosdepth, overlapping
        mates are found by name: a read of a proper pair that reaches its mate's start is remembered under its name; the
        next read of that name that does not reach its mate is corrected against it, and the name is forgotten. Within a
        row group, the chain of ``previous`` identifies a name. Between row groups, ``border_hash`` does; at least one
        record of a template must have it in every row group with records of that template.
        Raises `FormatError` if columns contradict each other.
        """
        cdef Py_ssize_t n = group.records
        if n == 0:
            return
        changes = 2 * (n if self.mode != BASES else max(n, len(group.cigar_pool)))
        self._prepare(n, group.pos, self._reaches(n, group), changes)
        if mask is not None:
            same_length(n, mask)
        if self.mode == EXTENTS:
            self._add_extents(n, group.pos, group.end, group.flag, mask)
        elif self.mode == FRAGMENTS:
            self._add_fragments(n, group.pos, group.flag, group.next_pos, group.tlen, mask)
        else:
            self._add_reads(n, group, mask)
        if self.far.failed:
            raise MemoryError("not enough memory for the depth of a contig")

    def _reaches(self, Py_ssize_t n, group):
        """Return the ends of reads. For unmapped reads that count, it is that of the CIGAR, because `end` has one
        base."""
        cdef const unsigned short[::1] flag
        cdef const unsigned int[::1] start, count, pool
        cdef const int[::1] pos
        cdef int[::1] reach
        cdef Walk walk
        cdef Py_ssize_t i
        if self.mode != BASES or self.exclude_flags & UNMAP:
            return group.end
        pos, flag, start, count, pool = group.pos, group.flag, group.cigar_start, group.cigar_count, group.cigar_pool
        reaches = new_array("i", group.end)
        reach = reaches
        same_length(n, pos, flag, start, count, reach)
        for i in range(n):
            if flag[i] & UNMAP and count[i] and <unsigned long long> start[i] + count[i] <= <size_t> pool.shape[0]:
                walk = Walk(&pool[start[i]], count[i], pos[i], pos[i])
                while next_segment(&walk):
                    reach[i] = <int> max(reach[i], min(walk.end, <long long> LAST))
        return reaches

    def _prepare(self, Py_ssize_t n, const int[::1] pos, const int[::1] end, long long changes):
        """Move the window to these reads; note whether any read overlaps the positions, and where the last one
        starts."""
        cdef long long begin = self.far.begin, stop = self.far.stop, first, reach
        cdef int furthest
        cdef Py_ssize_t i
        same_length(n, pos, end)
        for i in range(0 if self.found else n):
            if pos[i] < stop and end[i] > begin:
                self.found = True
                break
        if self.incremental and 0 < begin and pos[0] < begin:
            raise damaged("records are not in the order of their positions")
        furthest = end[0]
        for i in range(n):
            furthest = max(furthest, end[i])
        self.latest = pos[n - 1]
        self.added += changes
        first = min(max(pos[0] - (BEHIND if self.mode == FRAGMENTS else 0), begin), stop)
        self._pass(first)
        if self.window.length == 0:
            self.window.start = max(self.window.start, first)
        reach = min(<long long> furthest + 1, stop, self.window.start + SMALL + SPARSE * changes)
        self._grow(reach - self.window.start)
        if self.mode == FRAGMENTS:
            self._touch(self.window.start, self.window.start + self.window.length)
            return
        for i in range(n):
            self._touch(pos[i], <long long> max(pos[i], end[i]) + 1)

    cdef inline int _touch(self, long long begin, long long end) except -1:
        """Note that depth may change in an interval."""
        cdef Island *last = NULL
        cdef Island island
        if self.islands.size:
            last = <Island *> (self.islands.data + self.islands.size) - 1
        if last != NULL and last.begin <= begin <= last.end + APART:
            last.end = max(last.end, end)
            return 0
        while self.islands.size and begin <= last.end + APART:  # if reads are out of order
            begin, end = min(begin, last.begin), max(end, last.end)
            self.islands.size -= sizeof(Island)
            last -= 1
        island = Island(begin, end)
        self.islands.put(&island, sizeof(Island))
        return 0

    cdef int _grow(self, long long length) except -1:
        """Extend the window to at least this length."""
        cdef long long room = length + length // 4
        cdef int *values
        if length > self.room:
            values = <int *> calloc(room, sizeof(int))
            if values == NULL:
                raise MemoryError(f"not enough memory for the depth of {room} positions")
            if self.window.length:
                memcpy(values, self.window.values, self.window.length * sizeof(int))
            free(self.window.values)
            self.window.values, self.room = values, room
        self.window.length = max(self.window.length, length)
        return 0

    cdef int _pass(self, long long position) except -1:
        """Move the window forward to a position or slightly before it; the changes that it passes go to `behind`."""
        cdef int *values = self.window.values
        cdef long long size = min(position - self.window.start, self.window.length), rest
        if size < self.window.length:
            size -= size % BLOCK
        if size <= 0:
            return 0
        rest = self.window.length - size
        with nogil:
            self._keep(size)
            memmove(values, values + size, rest * sizeof(int))
            memset(values + max(rest, size), 0, (self.window.length - max(rest, size)) * sizeof(int))
        self.window.start += size
        self.window.length = rest
        return 0

    cdef int _keep(self, long long size) except -1 nogil:
        """Move the first values of the window to `behind`, and set them to 0."""
        cdef Island *islands = <Island *> self.islands.data
        cdef size_t count = self.islands.size // sizeof(Island), k = 0
        cdef long long start = self.window.start, begin, end
        while k < count and islands[k].begin < start + size:
            begin, end = max(islands[k].begin, start), min(islands[k].end, start + size)
            if begin < end:
                keep_blocks(self.behind, begin - self.far.begin, self.window.values + (begin - start), end - begin)
            if islands[k].end > start + size:
                islands[k].begin = start + size
                break
            k += 1
        memmove(islands, islands + k, (count - k) * sizeof(Island))
        self.islands.size = (count - k) * sizeof(Island)
        return 0

    def _add_extents(self, Py_ssize_t n, const int[::1] pos, const int[::1] end, const unsigned short[::1] flag,
                   const unsigned char[::1] mask):
        cdef DepthWindow local = self.window
        cdef unsigned int none_of = self.exclude_flags, one_of = self.include_flags
        cdef Py_ssize_t i
        same_length(n, flag)
        with nogil:
            for i in range(n):
                if counts(flag[i], none_of, one_of) and (mask is None or mask[i]):
                    bump(&local, pos[i], 1)
                    bump(&local, end[i], -1)

    def _add_fragments(self, Py_ssize_t n, const int[::1] pos, const unsigned short[::1] flag,
                       const int[::1] next_pos, const int[::1] tlen, const unsigned char[::1] mask):
        cdef DepthWindow local = self.window
        cdef unsigned int none_of = self.exclude_flags, one_of = self.include_flags
        cdef long long begin, length
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
                bump(&local, begin, 1)
                bump(&local, begin + (length if length >= 0 else -length), -1)

    def _add_reads(self, Py_ssize_t n, group, const unsigned char[::1] mask):
        """Count aligned bases. ``pending[root]`` is the remembered read of a template (see `add`).

        0 means none; k > 0, record k - 1 of this row group; k < 0, ``held[-k - 1]``, from an earlier row group.
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
        cdef DepthWindow local = self.window
        cdef unsigned int none_of = self.exclude_flags, one_of = self.include_flags
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
                none = back >> 31  # -1 or 0; no branch: whether a record is the first of its name is hard to predict
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
                        uncount_overlap(&local, &earlier, &later)
                add_segments(&local, cigars + start[i], count[i], pos[i])
        if not good:
            raise damaged("name chains or CIGARs point outside of it")
        self._carry(group, root, pending, held)

    def _resume(self, group, const int[::1] previous, int[::1] pending):
        """Give the reads that are remembered from earlier row groups to the templates of this row group."""
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
                if record >= n or previous[record] != -1:  # every step must be in the chain of a different record
                    raise damaged("border names a record that it does not have, or one name by two hashes")
                held.reads.append(self.carried.pop(hashes[k]))
                pending[record] = -len(held.reads)
        held.view()
        return held

    def _carry(self, group, const int[::1] root, const int[::1] pending, Held held):
        """Remember, for later row groups, the pending reads of templates that may continue there."""
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

    def settled(self):
        """Return the `Depth` of the next positions that no later read can change.

        Returns None if there are few such positions, or if there are too few new changes for this to be worthwhile.
        """
        cdef long long position = min(self.latest, self.far.stop)
        if not self.incremental or len(self.carried) > MOST_WAITING or self.added < <long long> self.far.count // 4:
            return None
        if position - self.far.begin < WORTH_TAKING or position < self.window.start:
            return None
        # Mates with one operation each may change depth from the end of the first one on: see `uncount_overlap`.
        if any(end < position and len(cigar) == 1 for _, end, cigar in self.carried.values()):
            return None
        self._pass(position)
        return self._take(min(position, self.window.start) if self.window.length else position)

    def finish(self):
        """Return the `Depth` of all positions that have not been returned yet."""
        self._pass(self.far.stop)
        return self._take(self.far.stop)

    cdef Depth _take(self, long long position):
        """Return the depth up to a position, which must not be past the start of the window."""
        cdef Depth taken = merge(self.behind, &self.far, position)
        taken.found = self.found
        self.depth = settle(taken, self.depth)
        self.behind = Depth(self.far.stop - position, start=position)
        self.far.begin, self.added = position, 0
        self.window.start = max(self.window.start, position)
        return taken
