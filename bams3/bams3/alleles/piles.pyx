"""Piles: the reads that lie over a stretch of positions, as htslib's pileup has them there.

htslib takes reads one by one. It leaves out reads where too many lie already, and changes the qualities of overlapping
mates when the second one comes. All of that depends on the reads before. So `Piles` takes the row groups in order, but
does no more than this; the piles that it gives are then worked on in any order, by many threads.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from bams3.alleles.arena cimport Arena
from bams3.alleles.reads cimport Reads
from bams3.alleles.waiting cimport Waiting
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
    BOUNDLESS = 0x7FFFFFFF  # no limit of depth


cdef class Pile:
    """The reads that settle what stands at the positions [start, stop) of a contig."""

    def __cinit__(self, Py_ssize_t most=0):
        self.held = []
        self.make_room(most)

    cdef int make_room(self, Py_ssize_t most) except -1:
        """Make room for `most` more reads, and one."""
        cdef Read *reads = <Read *> realloc(self.reads, (self.count + most + 1) * sizeof(Read))
        if reads == NULL:
            raise MemoryError(f"not enough memory for a pile of {self.count + most} reads")
        self.reads = reads
        return 0

    def __dealloc__(self):
        free(self.reads)

    def __len__(self):
        return self.count

    @property
    def first(self):
        """Where the first read begins; 0 without reads."""
        return self.reads[0].pos if self.count else 0

    def cuts(self, int64_t start, int64_t stop, int64_t width, int64_t most):
        """Return positions that cut [start, stop) into intervals of some `most` bytes: `width` for each read in a line.

        array('q'), with `start` and `stop`.
        """
        cdef int64_t size = stop - start, each = max(1, (size + BINS - 1) // BINS), depth = 0, total = 0, bytes_, k, parts
        cdef Py_ssize_t i
        cdef const Read *read
        found = array("q", [start])
        if size <= 0:
            return found
        changes = array("q", bytes(8 * (BINS + 2)))
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
    """Takes the row groups of a dataset in order and gives `Pile`s; as htslib does, up to the start of the last read.

    `max_depth`: a read is left out if as many others lie at its start, unless it is the first one there. `overlaps`:
    change the qualities of overlapping mates.
    """

    cdef int64_t max_depth
    cdef bint overlaps
    cdef int reference_id
    cdef int64_t at                # start of the last read
    cdef int64_t last              # the same, but -1 before the first read
    cdef int64_t settled           # the positions before are in piles
    cdef Pile carried              # reads that reach as far as `at`
    cdef Waiting waiting
    cdef Buffer ends               # of the reads that htslib may still hold
    cdef int64_t cleaned           # the position for which they were last gone through

    def __cinit__(self, int64_t max_depth, bint overlaps):
        self.max_depth, self.overlaps = max_depth, overlaps
        self.waiting = Waiting()
        self.begin(0)

    cdef int begin(self, int reference_id) except -1:
        """Begin a contig. htslib begins the first one at its start, others at their first read."""
        self.reference_id = reference_id
        self.at = self.settled = 0 if reference_id == 0 else NONE
        self.last = NONE
        self.carried = Pile()
        self.ends = Buffer(width=8)
        self.cleaned = NONE
        self.waiting.keep(NULL, 0, 0)
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
        """Return the pile of the rest of the contig."""
        cdef Pile pile = self.carried
        pile.start, pile.stop = self.settled, max(self.settled, pile.end)
        return pile

    cdef bint across(self, Reads reads, Py_ssize_t first) except -1:
        """htslib takes the first read of a contig before the reads of the last contig are past; they may have its name.

        Returns whether one has: then it is forgotten with them.
        """
        cdef Read read = reads.read(first)
        cdef int32_t number
        if not read.flag & PROPER_PAIR or not reads.may_overlap(first, &read):
            return False
        self.waiting.begin(self.carried.reads, self.carried.count, 0)
        number = self.waiting.find(self.carried.reads, read.name, read.name_length)
        if number == NONE:
            return False
        self.carried.reads[self.carried.count] = read
        self.carried.held.append(self.waiting.changed)
        if not self.waiting.meet(self.carried.reads, <int32_t> self.carried.count, number, self.at, True, False):
            raise no_bases(&read)
        return True

    cdef Pile taken(self, Reads reads, bint fresh, bint barred):
        cdef Pile pile = self.carried
        cdef Py_ssize_t i
        cdef int32_t number = NONE
        cdef int64_t at = self.at
        cdef Waiting waiting = self.waiting
        cdef Read read
        cdef bint good = True, ascends = True
        waiting.begin(pile.reads, pile.count, reads.records)
        pile.make_room(reads.records)
        pile.reference_id, pile.least = self.reference_id, 0 if self.reference_id == 0 else NONE
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
                if self.overlaps and read.flag & PROPER_PAIR:
                    number = waiting.name_of(i, pile.reads, read.name, read.name_length)
                else:
                    number = NONE
                if not fresh and read.pos == at and self.max_depth < BOUNDLESS and self.live(at) >= self.max_depth:
                    if number != NONE:
                        waiting.forget(number)
                    continue
                if not fresh and read.end <= at:
                    continue
                if self.max_depth < BOUNDLESS:
                    self.ends.put_u64(<uint64_t> read.end)
                pile.reads[pile.count] = read
                if number == NONE:
                    waiting.of_read[pile.count] = waiting.earlier[pile.count] = NONE
                elif not waiting.meet(pile.reads, <int32_t> pile.count, number, at,
                                      reads.may_overlap(i, &read), reads.waits(i, &read)):
                    good = False
                    break
                elif barred:
                    waiting.forget(number)
                pile.count += 1
                pile.end = max(pile.end, read.end)
                pile.deleted = max(pile.deleted, reads.deleted)
                pile.covers |= read.end > read.pos
                at = max(at, read.pos)
                fresh = barred = False
        if not ascends:  # lines count on it: what they take is measured before they are written
            raise damaged("positions do not ascend")
        if not good:
            raise no_bases(&read)
        pile.start, pile.stop = self.settled, at
        self.settled = self.at = at
        self.carry(pile)
        pile.held += [waiting.changed, *reads.held]
        return pile

    cdef int64_t live(self, int64_t at) noexcept nogil:
        """The number of reads that htslib holds when one at `at` comes that is not the first one there."""
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

    cdef int carry(self, Pile pile) except -1:
        """Keep the reads that reach as far as the last one's start. The row group goes, so they are copied out of it.

        Those that were carried before stay where they are, unless most of what is there belongs to reads that are past.
        """
        cdef Py_ssize_t i, count = 0, before = self.waiting.carried
        cdef size_t live = 0
        cdef const Read *read
        kept = array("i", bytes(4 * (pile.count + 1)))
        cdef int32_t[::1] numbers = kept
        cdef Arena room = self.waiting.changed
        for i in range(pile.count):
            read = &pile.reads[i]
            if read.end >= self.at:
                numbers[count] = <int32_t> i
                count += 1
                if i < before:
                    live += 4 * <size_t> read.operations + (read.l_seq + 1) // 2 + read.l_seq + read.name_length
        cdef Pile carried = Pile(count)
        if pile.bytes + room.size <= 2 * live:
            carried.held, carried.bytes = [*pile.held, room], pile.bytes
        else:
            room, before = Arena(), 0
            carried.held = [room]
        carried.reference_id, carried.least = pile.reference_id, pile.least
        carried.count = count
        for i in range(count):
            carried.reads[i] = pile.reads[numbers[i]]
            if numbers[i] >= before:
                keep_read(room, &carried.reads[i])
            carried.end = max(carried.end, carried.reads[i].end)
            carried.covers |= carried.reads[i].end > carried.reads[i].pos
        carried.bytes += room.size
        carried.deleted = pile.deleted if count else 0
        self.waiting.keep(&numbers[0], count, self.at)
        self.carried = carried
        return 0


cdef int keep_read(Arena room, Read *read) except -1:
    """Copy what a read points to."""
    read.cigar = <const uint32_t *> room.copy(read.cigar, 4 * <size_t> read.operations)
    read.seq = <const uint8_t *> room.copy(read.seq, (<size_t> read.l_seq + 1) // 2)
    read.qual = <uint8_t *> room.copy(read.qual, read.l_seq)
    read.name = <const uint8_t *> room.copy(read.name, read.name_length)
    return 0


cdef no_bases(const Read *read):
    name = (<const char *> read.name)[:read.name_length].decode("utf-8", "surrogateescape")
    return UsageError(
        f"read {name} at position {read.pos + 1} overlaps its mate, and one of the two has no "
        "bases; give -x to leave overlapping mates unchanged (samtools fails here, too)"
    )
