"""Finds duplicates among reads sorted by coordinate, in one pass. They are the same as those of `samtools markdup`.

Reads wait in a queue until no later read can be compared with them. The order of events is that of samtools, because
it decides which of two reads is the duplicate: a key is removed when the read that added it leaves the queue.
"""

from collections import deque

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strcmp, strdup, strlen

from bams3.bam.fields cimport DUP, record_flag, record_name
from bams3.buffer cimport Bytes, append
from bams3.duplicates.bits cimport COPIES, DUPLICATE, LIBRARY, NAMED, OPTICAL, shift, size_of_more
from bams3.duplicates.keys cimport NO_KEY, PAIR, Key, Keys
from bams3.duplicates.optical cimport Candidate, Spot, SpotParser, compare, near
from bams3.duplicates.queue cimport (
    Queue, UNKNOWN, Waiting, at, failed, follow, mate_score, name_of, push, replace, score_of, still,
)
from bams3.duplicates.state cimport append_state
from bams3.duplicates.supplementary cimport Supplementary
from bams3.duplicates.table cimport NOWHERE, Node, Table, clear, drop, find_or_add, pair_key, single_key

from bams3.errors import SourceError

cdef enum Fault:
    NONE, NO_MATE_SCORE, NO_SPOT

MESSAGES = {
    NO_MATE_SCORE: "read {} has no tag ms; use bams3 convert --sort --fixmate, or run samtools fixmate -m first",
    NO_SPOT: "the name of read {} does not match the pattern for coordinates; give another one with --read-coords",
}

# The numbers that are counted for each read group.
cdef enum:
    READ, WRITTEN, EXCLUDED, EXAMINED, PAIRED, SINGLES, DUPLICATE_PAIR, DUPLICATE_SINGLE, OPTICAL_PAIR, OPTICAL_SINGLE
    CELLS


cdef class Marks:
    """The changes to be made to the records of a block. `bits`: one byte for each record. `more`: further data of some
    records, in order: the name of a duplicate's original, which ends with a NUL, or the number of copies, in 4 bytes.
    """

    def __init__(self, bytes bits, bytes more):
        self.bits, self.more = bits, more


cdef class Marker:
    """Finds duplicates. Reads that are added with `own=False` are those around a batch: they are compared, but neither
    marked nor counted. `length`: length of the longest read in bp, which is also the reach of the queue. `remove`:
    whether duplicates are removed, so that they do not count as written; the same holds for reads that were marked
    before, unless `clear` is set. `clear`: whether earlier marks are ignored. `originals`, `copies`: whether marks
    have the names of originals, and the number of reads that each read represents. `distance`: greatest distance of
    optical duplicates on the flow cell; with 0, they are not searched for. `chains`: whether duplicates of the same
    original are compared with each other, too. `coordinates`, `order`: regular expression for read names, and the
    order of its groups; see `SpotParser`. `groups`: number of read groups. `supplementary`: receives the names of
    duplicates, so that their other alignments can be marked.
    """

    cdef Table table
    cdef Queue queue
    cdef int64_t length, distance
    cdef bint remove, clear, originals, copies, chains
    cdef SpotParser names
    cdef int64_t *counts  # CELLS without a read group and for each one; then the same for reads that are not own
    cdef int64_t *tally   # the half of `counts` that is in use now
    cdef int32_t groups
    cdef readonly int64_t unreadable  # how often a name without coordinates was examined
    cdef readonly int64_t barcodes    # number of reads whose barcode could not be read
    cdef Bytes bits, more  # as in Marks, for reads that have left the queue
    cdef Bytes scratch  # used by check_chain and state
    cdef Supplementary supplementary
    cdef bint tells  # whether `supplementary` is given
    cdef object waiting  # blocks with reads in the queue, each with a view that keeps its bytes in place
    cdef const uint8_t *culprit

    def __cinit__(
        self, int64_t length=300, *, bint remove=False, bint clear=False, bint originals=False, bint copies=False,
        int64_t distance=0, bint chains=True, bytes coordinates=b"", str order="txy", int32_t groups=0,
        Supplementary supplementary=None,
    ):
        self.length, self.remove, self.clear = length, remove, clear
        self.originals, self.copies = originals, copies
        self.distance, self.chains = distance, chains and (originals or distance)
        self.names = SpotParser(coordinates, order)
        self.groups = groups
        self.supplementary, self.tells = supplementary, supplementary is not None
        self.counts = <int64_t *> calloc(2 * (groups + 1) * CELLS, sizeof(int64_t))
        if self.counts == NULL:
            raise MemoryError
        self.tally = self.counts
        self.waiting = deque()

    def __dealloc__(self):
        cdef int64_t number
        for number in range(self.queue.head, self.queue.tail):
            free(at(&self.queue, number).original_name)
        clear(&self.table)
        free(self.queue.reads)
        free(self.counts)
        free(self.bits.data)
        free(self.more.data)
        free(self.scratch.data)

    def add(self, block, Keys keys not None, bint own=True):
        """Add the reads of a block, with their keys. Return the `own` blocks that are complete now, with their Marks.
        Raises SourceError if a read lacks a tag, or coordinates in its name, that a comparison needs."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t i, count = len(block)
        cdef int fault = NONE
        if keys.count != count:
            raise ValueError(f"keys of {keys.count} reads for a block of {count}")
        self.barcodes += keys.unreadable if own else 0
        self.waiting.append((block, data, own))
        if count:
            with nogil:
                for i in range(count):
                    fault = self.take(&data[offsets[i]], &keys.of[i], own)
                    if fault != NONE:
                        break
        self.check(fault)
        return self.complete()

    def finish(self):
        """Return the remaining blocks. No reads may be added afterwards."""
        cdef int fault = NONE
        while self.queue.head < self.queue.tail and fault == NONE:
            fault = self.leave()
        self.check(fault)
        return self.complete()

    @property
    def is_complete(self):
        """Whether all `own` reads are marked."""
        return not any(own for _, _, own in self.waiting)

    def state(self, int32_t ref):
        """Return, as bytes, only the state that can affect later reads of a reference, wherever reading began."""
        self.scratch.size = 0
        append_state(&self.scratch, &self.queue, &self.table, ref, self.copies)
        return PyBytes_FromStringAndSize(<char *> self.scratch.data, self.scratch.size)

    def numbers(self):
        """Return how many reads of each kind there were: first those without a read group, then those of each group."""
        return [[self.counts[group * CELLS + cell] for cell in range(CELLS)] for group in range(self.groups + 1)]

    cdef int check(self, int fault) except -1:
        if fault != NONE:
            name = (<const char *> record_name(self.culprit)).decode("ascii", "backslashreplace")
            raise SourceError(MESSAGES[fault].format(name))
        return 0

    cdef list complete(self):
        cdef Py_ssize_t at = 0, after = 0, count, size
        found = []
        while self.waiting:
            block, _, own = self.waiting[0]
            count = len(block)
            if at + count > <Py_ssize_t> self.bits.size:
                break
            size = size_of_more(self.bits.data + at, count, self.more.data + after)
            if own:
                found.append((block, Marks(
                    PyBytes_FromStringAndSize(<char *> self.bits.data + at, count),
                    PyBytes_FromStringAndSize(<char *> self.more.data + after, size),
                )))
            at += count
            after += size
            self.waiting.popleft()
        shift(&self.bits, at)
        shift(&self.more, after)
        return found

    cdef int64_t *turn_of(self, const Waiting *read) noexcept nogil:
        """Select the half of the counts for a read that is compared or leaves; return the counts of its read group."""
        self.tally = self.counts + (0 if read.own else (self.groups + 1) * CELLS)
        return self.tally + read.read_group * CELLS

    cdef int take(self, const uint8_t *record, const Key *key, bint own) except -1 nogil:
        """Add a read to the queue, and compare it with the others. Reads leave that no later read is compared with."""
        cdef int64_t number = self.queue.tail
        cdef int fault = NONE
        cdef Waiting *read = push(&self.queue)
        cdef Waiting *first
        cdef int64_t *counts
        read.record, read.ref, read.kind, read.read_group, read.own = record, key.ref, key.kind, key.read_group, own
        counts = self.turn_of(read)
        counts[READ] += 1
        if key.kind == NO_KEY:
            counts[EXCLUDED] += 1
            read.until = key.pos + self.length
        else:
            counts[EXAMINED] += 1
            counts[PAIRED if key.kind == PAIR else SINGLES] += 1
            read.until = key.five_prime + 1 + self.length  # in samtools, these positions are 1-based
            self.compare_alone(read, number, key)
            if key.kind == PAIR:
                fault = self.compare_pair(read, number, key)
        while self.queue.head < self.queue.tail and fault == NONE:
            first = at(&self.queue, self.queue.head)
            if first.until > key.pos and first.ref == key.ref and (key.ref != -1 or key.pos != -1):
                break
            fault = self.leave()
        return fault

    cdef int leave(self) except -1 nogil:
        """Remove the first read from the queue, and write its mark."""
        cdef Waiting *read = at(&self.queue, self.queue.head)
        cdef uint8_t bits = 0
        cdef int fault = NONE
        cdef int64_t *counts = self.turn_of(read)
        if self.chains and not read.checked and (read.original != NOWHERE or read.next_duplicate != NOWHERE):
            fault = self.check_chain(self.queue.head)
        if read.duplicate:
            bits = DUPLICATE | (0 if not self.distance else OPTICAL if read.optical else LIBRARY)
            if self.originals:
                bits |= NAMED
                append(&self.more, read.original_name, strlen(read.original_name) + 1)
                free(read.original_name)
        elif self.copies:
            bits = COPIES
            append(&self.more, &read.copies, 4)
        append(&self.bits, &bits, 1)
        if not (self.remove and (read.duplicate or (not self.clear and record_flag(read.record) & DUP))):
            counts[WRITTEN] += 1
        if read.pair_node != NOWHERE:
            drop(&self.table, read.pair_node)
        if read.single_node != NOWHERE:
            drop(&self.table, read.single_node)
        self.queue.head += 1
        return fault

    cdef int compare_alone(self, Waiting *read, int64_t number, const Key *key) except -1 nogil:
        """Compare a read by itself. A single read is a duplicate of any paired read, and of a better single read."""
        cdef bint found
        cdef Node wanted = single_key(key)
        cdef int32_t node = find_or_add(&self.table, &wanted, number, &found)
        cdef int64_t best_number
        cdef Waiting *best
        if not found:
            read.single_node = node
            return 0
        best_number = self.table.nodes[node].value
        best = at(&self.queue, best_number)
        if read.kind == PAIR and best.kind == PAIR:
            return 0
        if read.kind == PAIR or (best.kind != PAIR and self.scored(read) > self.scored(best)):
            if self.chains:
                replace(&self.queue, best_number, number)
            read.copies = read.copies + 1 if read.kind == PAIR else read.copies + best.copies
            self.table.nodes[node].value = number
            return self.mark(read, best, read, DUPLICATE_SINGLE, OPTICAL_SINGLE)
        if self.chains:
            follow(&self.queue, best_number, number)
        best.copies += 1
        return self.mark(best, read, read, DUPLICATE_SINGLE, OPTICAL_SINGLE)

    cdef int64_t scored(self, Waiting *read) noexcept nogil:
        """Return the score of a read by itself."""
        if read.score == UNKNOWN:
            read.score = score_of(read.record)
        return read.score

    cdef int compare_pair(self, Waiting *read, int64_t number, const Key *key) except -1 nogil:
        """Compare a read as part of a pair. The best pair is kept, by QC, then by base qualities, then by name."""
        cdef bint found, better
        cdef Node wanted = pair_key(key)
        cdef int32_t node = find_or_add(&self.table, &wanted, number, &found)
        cdef int64_t best_number
        cdef Waiting *best
        if not found:
            read.pair_node = node
            return NONE
        best_number = self.table.nodes[node].value
        best = at(&self.queue, best_number)
        if failed(read) != failed(best):
            better = failed(best)
        elif not self.score_pair(best) or not self.score_pair(read):
            return NO_MATE_SCORE
        elif read.score != best.score:
            better = read.score > best.score
        else:
            better = strcmp(name_of(read), name_of(best)) < 0
        if better:
            if self.chains:
                replace(&self.queue, best_number, number)
            read.copies += best.copies
            self.table.nodes[node].value = number
            self.mark(read, best, read, DUPLICATE_PAIR, OPTICAL_PAIR)
        else:
            if self.chains:
                follow(&self.queue, best_number, number)
            best.copies += 1
            self.mark(best, read, read, DUPLICATE_PAIR, OPTICAL_PAIR)
        return NONE

    cdef bint score_pair(self, Waiting *read) noexcept nogil:
        cdef int32_t of_mate
        if read.score == UNKNOWN:
            if not mate_score(read.record, &of_mate):
                self.culprit = read.record
                return False
            read.score = score_of(read.record) + of_mate
        return True

    cdef int mark(self, Waiting *original, Waiting *duplicate, Waiting *latest, int kind, int optical) except -1 nogil:
        cdef int64_t *counts = self.tally + latest.read_group * CELLS
        duplicate.duplicate = True
        counts[kind] += 1
        if self.originals:
            self.name(duplicate, original)
        if self.distance and self.is_optical(original, duplicate):
            duplicate.optical = True
            counts[optical] += 1
        if self.tells:
            self.supplementary.add(duplicate.record, name_of(original), duplicate.optical, latest.read_group)
        return 0

    cdef int name(self, Waiting *duplicate, const Waiting *original) except -1 nogil:
        """Store the name of a duplicate's original."""
        free(duplicate.original_name)
        duplicate.original_name = strdup(name_of(original))
        if duplicate.original_name == NULL:
            with gil:
                raise MemoryError("not enough memory for the names of originals")
        return 0

    cdef int spot_of(self, const Waiting *read, Spot *spot) noexcept nogil:
        cdef int result = self.names.find(name_of(read), spot)
        self.unreadable += result > 0 and self.tally == self.counts
        return result

    cdef bint is_optical(self, const Waiting *original, const Waiting *duplicate) noexcept nogil:
        cdef Spot spot, other
        if self.spot_of(original, &spot) or self.spot_of(duplicate, &other):
            return False
        return near(name_of(original), &spot, name_of(duplicate), &other, self.distance)

    cdef int check_chain(self, int64_t number) except -1 nogil:
        """Give all reads of a chain the name of the original, and find the optical duplicates among them: those near
        the original or near a better duplicate. If reads of a chain have left the queue, it was checked before."""
        cdef Waiting *original = at(&self.queue, number)
        cdef Waiting *read
        cdef Spot spot
        cdef Candidate candidate
        cdef Candidate *found
        cdef int64_t i, count = 0
        cdef int result
        while original.original != NOWHERE:
            original = still(&self.queue, original.original)
            if original == NULL:
                return NONE
        original.checked = True
        result = self.spot_of(original, &spot) if self.distance else 0
        if result < 0:
            self.culprit = original.record
            return NO_SPOT
        self.scratch.size = 0
        number = original.next_duplicate
        read = still(&self.queue, number)
        while read != NULL:
            read.checked = True
            if self.originals:
                self.name(read, original)
            if self.distance and result == 0:
                memset(&candidate, 0, sizeof(Candidate))
                candidate.spot.x = candidate.spot.y = NOWHERE
                if self.spot_of(read, &candidate.spot) == 0 and near(
                    name_of(original), &spot, name_of(read), &candidate.spot, self.distance
                ):
                    self.retag(original, read)
                candidate.name, candidate.number, candidate.optical = name_of(read), number, read.optical
                candidate.has_mate, candidate.failed = read.kind == PAIR, failed(read)
                if read.kind == PAIR and not self.score_pair(read):
                    return NO_MATE_SCORE
                candidate.score = read.score if read.kind == PAIR else self.scored(read)
                append(&self.scratch, &candidate, sizeof(Candidate))
            number = read.next_duplicate
            read = still(&self.queue, number)
        count = self.scratch.size // sizeof(Candidate)
        found = <Candidate *> self.scratch.data
        if count > 1:
            compare(found, count, self.distance)
            for i in range(count):
                if found[i].optical:
                    self.retag(original, at(&self.queue, found[i].number))
        return NONE

    cdef void retag(self, const Waiting *original, Waiting *read) noexcept nogil:
        """Mark a duplicate as an optical one."""
        if not read.optical:
            read.optical = True
            self.tally[original.read_group * CELLS + (OPTICAL_PAIR if read.kind == PAIR else OPTICAL_SINGLE)] += 1
            if self.tells:
                self.supplementary.retag(read.record)
