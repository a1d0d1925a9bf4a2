"""Piles: the reads that cover a stretch of positions, as htslib's pileup has them.

htslib takes reads one by one. It drops reads where the depth has reached a limit, and changes the qualities of
overlapping mates when the second mate comes. Both depend on the previous reads. Therefore `Piles` takes the row groups
in order, but does nothing more than this; threads then work on the resulting piles in any order.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from bams3.alleles.arena cimport Arena
from bams3.alleles.overlap cimport prefers_first, settle_overlap
from bams3.alleles.reads cimport Reads
from bams3.alleles.waiting cimport Text, Waiting
from bams3.alleles.walk cimport Read
from bams3.bam.fields cimport PROPER_PAIR
from bams3.buffer cimport Buffer

from array import array

from bams3.coverage.damage import damaged
from bams3.errors import UsageError

cdef enum:
    NONE = -1
    BINS = 1 << 12
    EMPTY_LINE = 24
    BOUNDLESS = 0x7FFFFFFF  # as a depth limit: none


cdef class Pile:
    """Reads of a contig: all that the pileup has at the positions [start, stop), or some of them (see `Piles`)."""

    def __cinit__(self, Py_ssize_t most=0):
        self.held = []
        self.make_room(most)

    cdef int make_room(self, Py_ssize_t most) except -1:
        """Make room for `most` + 1 more reads."""
        cdef Read *reads = <Read *> realloc(self.reads, (self.count + most + 1) * sizeof(Read))
        if reads == NULL:
            raise MemoryError(f"not enough memory for a pile of {self.count + most} reads")
        self.reads = reads
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.owned):
            free(<void *> self.reads[i].cigar)
        free(self.reads)

    def __len__(self):
        return self.count

    cdef Pile like(self):
        """A new, empty pile of the same contig."""
        cdef Pile made = Pile()
        made.reference_id, made.least, made.deleted = self.reference_id, self.least, self.deleted
        return made

    cdef void put(self, const Read *read) noexcept nogil:
        """Add a read; there must be room for it."""
        self.reads[self.count] = read[0]
        self.count += 1
        self.end = max(self.end, read.end)
        self.covers |= read.end > read.pos

    @property
    def first(self):
        """Where the first read begins; 0 if there are no reads."""
        return self.reads[0].pos if self.count else 0

    def cuts(self, int64_t start, int64_t stop, int64_t width, int64_t most):
        """Return positions that cut [start, stop) into intervals whose lines have about `most` bytes each.

        A line is taken to have `width` bytes for each read. The result is an array('q') that includes `start` and
        `stop`.
        """
        cdef int64_t size = stop - start, each = max(1, (size + BINS - 1) // BINS), depth = 0, total = 0, bytes_, k, parts
        cdef Py_ssize_t i
        cdef const Read *read
        found = array("q", [start])
        if size <= 0:
            return found
        changes = array("q", bytes(8 * (min(size, <int64_t> BINS) + 2)))
        cdef int64_t[::1] change = changes
        with nogil:
            for i in range(self.count):
                read = &self.reads[i]
                if read.end > start and read.pos < stop:
                    change[max(read.pos - start, 0) // each] += 1
                    change[(min(read.end, stop) - 1 - start) // each + 1] -= 1
        for k in range((size + each - 1) // each):
            depth += change[k]
            bytes_ = (depth * width + EMPTY_LINE) * each
            if total and total + bytes_ > most:
                found.append(start + k * each)
                total = 0
            total += bytes_
            if total > most and each > 1:
                parts = min(total // most + 1, each)
                found.extend(start + k * each + part * each // parts for part in range(1, parts)
                             if start + k * each + part * each // parts < stop)
                total = total // parts
        found.append(stop)
        return found


cdef class Piles:
    """Takes the row groups of a dataset in order, and returns `Pile`s up to the start of the last read, as htslib does.

    Parameters
    ----------
    max_depth
        A read is dropped if this many others cover its start, unless it is the first one that begins there.
    overlaps
        Change the qualities of overlapping mates.
    once
        Return each read in one pile only, as soon as no mate can change it. Only reads that wait for their mates are
        kept then. The positions of a pile are those of its reads; other piles may have reads at the same positions.
    """

    cdef int64_t max_depth
    cdef bint overlaps
    cdef bint once
    cdef int reference_id
    cdef int64_t at                # start of the last read
    cdef int64_t last              # the same, but -1 before the first read
    cdef int64_t settled           # all positions before this one are in piles
    cdef Pile carried              # reads that reach as far as `at`, or still wait
    cdef Py_ssize_t before         # number of carried reads in the current pile
    cdef Arena changed             # changed qualities of these reads
    cdef Waiting waiting
    cdef Buffer ends               # ends of the reads that htslib may still hold
    cdef int64_t cleaned           # position for which ends were last removed from `ends`

    def __cinit__(self, int64_t max_depth, bint overlaps, bint once=False):
        self.max_depth, self.overlaps, self.once = max_depth, overlaps, once
        self.begin(0)

    cdef int begin(self, int reference_id) except -1:
        """Begin a contig. (htslib begins the first contig at its start, and others at their first read.)"""
        self.reference_id = reference_id
        self.at = self.settled = 0 if reference_id == 0 else NONE
        self.last = NONE
        self.carried = Pile()
        self.changed, self.waiting = Arena(), Waiting()
        self.ends = Buffer(width=8)
        self.cleaned = NONE
        return 0

    def push(self, group, const uint8_t[::1] mask not None):
        """Take the reads of a row group that `mask` selects (one byte per record); return the piles that are complete.

        Raises `FormatError` for damaged columns, and for mates that htslib refuses.
        """
        cdef Reads reads = Reads(group, mask, self.overlaps)
        cdef Py_ssize_t first = reads.first()
        cdef bint fresh = group.reference_id != self.reference_id, barred = False
        done = []
        if first == reads.records:
            return done
        if fresh:
            if self.overlaps:
                barred = self.across(reads, first)
            done.append(self.finish())
            self.begin(group.reference_id)
        done.append(self.taken(reads, fresh, barred))
        return done

    def finish(self):
        """Return the pile of the remaining positions of the contig."""
        cdef Pile pile = self.carried
        pile.start, pile.stop = pile.first if self.once else self.settled, max(self.settled, pile.end)
        return pile

    cdef bint across(self, Reads reads, Py_ssize_t first) except -1:
        """Settle the first read of a contig with a waiting read of the previous contig that has the same name, if any.

        htslib takes that first read before it has finished the previous contig. Returns whether there is such a name;
        if so, the name is then forgotten.
        """
        cdef Read read = reads.read(first)
        cdef int32_t number, mate
        if not read.flag & PROPER_PAIR or not reads.may_overlap(first, &read):
            return False
        self.waiting.begin(0)
        number = self.waiting.find(reads.name(first))
        if number == NONE:
            return False
        self.before, self.changed = self.carried.count, Arena()
        self.carried.held.append(self.changed)
        mate = self.waiting.meet(NONE, read.end, number, self.at, True, False)
        if mate != NONE and not self.settle(self.carried, mate, &read, number, self.at):
            raise no_bases(&read, reads.name(first))
        return True

    cdef bint settle(self, Pile pile, int32_t mate, Read *read, int32_t number, int64_t at) except? False nogil:
        """Settle the overlap of a read with its mate in a pile. Returns False if one of them has too few bases.

        `number` is that of their name. Unless each read is returned only once, earlier piles also have the carried
        reads, so the qualities of these are changed in a copy.
        """
        cdef Read *first = &pile.reads[mate]
        cdef Text name = self.waiting.names[number].text
        if mate < self.before and not self.once:
            first.qual = <uint8_t *> self.changed.copy(first.qual, first.l_seq)
        return settle_overlap(first, read, prefers_first(name.chars, name.length), at)

    cdef Pile taken(self, Reads reads, bint fresh, bint barred):
        cdef Pile pile = self.carried
        cdef Py_ssize_t i
        cdef int32_t number, mate
        cdef int64_t at = self.at
        cdef Waiting waiting = self.waiting
        cdef Read read
        cdef bint good = True, ascends = True
        waiting.begin(reads.records)
        pile.make_room(reads.records)
        pile.reference_id, pile.least = self.reference_id, 0 if self.reference_id == 0 else NONE
        self.before, self.changed = pile.count, Arena()
        with nogil:
            for i in range(reads.records):
                if self.overlaps and reads.previous[i] >= 0:
                    waiting.of_record[i] = waiting.of_record[reads.previous[i]]
                if not reads.mask[i]:
                    continue
                read = reads.read(i)
                if read.pos < self.last:
                    ascends = False
                    break
                self.last = read.pos
                number = mate = NONE
                if self.overlaps and read.flag & PROPER_PAIR:
                    number = waiting.name_of(i, reads.name(i))
                if not fresh and read.pos == at and self.max_depth < BOUNDLESS and self.live(at) >= self.max_depth:
                    if number != NONE:
                        waiting.forget(number)
                    continue
                if not fresh and read.end <= at:
                    continue
                if self.max_depth < BOUNDLESS:
                    self.ends.put_u64(<uint64_t> read.end)
                if number != NONE:
                    mate = waiting.meet(<int32_t> pile.count, read.end, number, at,
                                        reads.may_overlap(i, &read), reads.waits(i, &read))
                    if barred:
                        waiting.forget(number)
                if mate != NONE and not self.settle(pile, mate, &read, number, at):
                    good = False
                    break
                pile.put(&read)
                pile.deleted = max(pile.deleted, reads.deleted)
                at = max(at, read.pos)
                fresh = barred = False
        if not ascends:  # lines depend on the order, because their sizes are computed before they are written
            raise damaged("positions do not ascend")
        if not good:
            raise no_bases(&read, reads.name(i))
        pile.start, pile.stop = self.settled, at
        self.settled = self.at = at
        pile = self.parted(pile) if self.once else self.carry(pile)
        pile.held += [self.changed, *reads.held]
        return pile

    cdef int64_t live(self, int64_t at) noexcept nogil:
        """The number of reads that htslib holds when a read at `at` comes that is not the first one there."""
        cdef int64_t *ends = <int64_t *> self.ends.data
        cdef size_t count = self.ends.size // 8, kept = 0, i
        if <int64_t> count >= self.max_depth and self.cleaned < at:
            for i in range(count):
                ends[kept] = ends[i]
                kept += ends[i] >= at
            self.ends.size = 8 * kept
            self.cleaned = at
            return <int64_t> kept
        return <int64_t> count

    cdef Pile parted(self, Pile pile):
        """Keep copies of the reads that still wait; return a pile of the others."""
        cdef Pile done = pile.like()
        cdef Py_ssize_t i, total = pile.count
        cdef int32_t count = 0
        cdef uint8_t *room
        cdef int32_t[::1] numbers
        cdef Read read
        made = array("i", [NONE]) * (total + 1)
        numbers = made
        self.waiting.mark(numbers, self.at)
        for i in range(total):
            if numbers[i] != NONE:
                numbers[i] = count
                count += 1
        self.waiting.keep(numbers, self.at)
        done.make_room(total - count)
        pile.count = pile.owned = 0
        pile.end, pile.covers = 0, False
        for i in range(total):
            read = pile.reads[i]
            if numbers[i] == NONE:
                done.put(&read)
                done.owned += i < self.before
                continue
            if i >= self.before:
                room = <uint8_t *> malloc(size_of(&read) + 1)
                if room == NULL:
                    raise MemoryError(f"not enough memory for {count} reads that wait for their mates")
                move(&read, room)
            pile.put(&read)
        pile.owned = pile.count
        done.start, done.stop = done.first, done.end
        return done

    cdef Pile carry(self, Pile pile):
        """Keep copies of the reads that reach as far as the start of the last read; return the pile. (Copies, because
        the row group will be freed.)

        Reads that were already carried are not copied again, unless most of that memory belongs to reads that are past.
        """
        cdef Pile carried = pile.like()
        cdef Py_ssize_t i, before = self.before
        cdef int32_t count = 0
        cdef size_t live = 0
        cdef int32_t[::1] numbers
        cdef Arena room = self.changed
        cdef Read read
        made = array("i", [NONE]) * (pile.count + 1)
        numbers = made
        for i in range(pile.count):
            if pile.reads[i].end >= self.at:
                numbers[i] = count
                count += 1
                live += size_of(&pile.reads[i]) if i < before else 0
        self.waiting.keep(numbers, self.at)
        if pile.bytes + room.size <= 2 * live:
            carried.held, carried.bytes = [*pile.held, room], pile.bytes
        else:
            room, before = Arena(), 0
            carried.held = [room]
        carried.make_room(count)
        for i in range(pile.count):
            if numbers[i] != NONE:
                read = pile.reads[i]
                if i >= before:
                    move(&read, <uint8_t *> room.take(size_of(&read)))
                carried.put(&read)
        carried.bytes += room.size
        carried.deleted = pile.deleted if count else 0
        self.carried = carried
        return pile


cdef inline size_t size_of(const Read *read) noexcept nogil:
    """The number of bytes that a read points to."""
    return 4 * <size_t> read.operations + read.l_seq + (<size_t> read.l_seq + 1) // 2


cdef inline void move(Read *read, uint8_t *room) noexcept nogil:
    """Copy the data that a read points to into `room`, CIGAR first, and make the read point there."""
    cdef size_t operations = 4 * <size_t> read.operations, bases = read.l_seq
    if operations:
        memcpy(room, read.cigar, operations)
    if bases:
        memcpy(room + operations, read.qual, bases)
        memcpy(room + operations + bases, read.seq, (bases + 1) // 2)
    read.cigar, read.qual = <const uint32_t *> room, room + operations
    read.seq = room + operations + bases


cdef no_bases(const Read *read, Text text):
    name = (<const char *> text.chars)[:text.length].decode("utf-8", "surrogateescape")
    return UsageError(
        f"read {name} at position {read.pos + 1} overlaps its mate, and one of the two has no "
        "bases; give -x to leave overlapping mates unchanged (samtools fails here, too)"
    )
