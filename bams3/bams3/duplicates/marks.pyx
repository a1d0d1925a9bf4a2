"""Marks duplicates among reads in the order of coordinates, as `samtools markdup` does: the same reads, in one pass.

Reads wait in a queue until no later one can be compared with them. samtools' order of events is kept, because it
decides which of two reads is the duplicate: a key is forgotten when the read that brought it leaves the queue.
"""

from collections import deque

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset, strcmp

from bams3.bam.fields cimport (
    QCFAIL, find_tag, load_i32, load_u16, look_ahead, record_flag, record_l_seq, record_name, record_pos, record_qual,
    record_ref,
)
from bams3.buffer cimport Bytes, append
from bams3.duplicates.keys cimport NO_KEY, PAIR, Key, Keys
from bams3.duplicates.table cimport NOWHERE, Node, Table, clear, drop, find_or_add, pair_key, single_key

from bams3.errors import SourceError

cdef enum:
    LEAST_QUALITY = 15  # that counts for the score of a read
    UNKNOWN = -1

cdef enum Fault:
    NONE, NO_MATE_SCORE


cdef struct Read:
    # A read in the queue.
    int64_t until           # a read that begins here or further on can't be compared with it
    const uint8_t *record
    int64_t score           # of its qualities and its mate's, or UNKNOWN
    int32_t ref
    int32_t pair_node       # of the keys that it brought, or NOWHERE
    int32_t single_node
    uint8_t kind
    uint8_t duplicate


cdef inline int64_t score_of(const uint8_t *record) noexcept nogil:
    cdef const uint8_t *qual = record_qual(record)
    cdef int32_t i, size = record_l_seq(record)
    cdef int64_t score = 0
    for i in range(size):
        score += qual[i] if qual[i] >= LEAST_QUALITY else 0
    return score


cdef bint mate_score(const uint8_t *record, int32_t *score) noexcept nogil:
    """The tag ms, as a 32-bit number; False if there is none, or if it is -1, which samtools takes for none."""
    cdef const uint8_t *tag = find_tag(record, c"m", c"s")
    score[0] = 0
    if tag == NULL:
        return False
    if tag[2] == c"i" or tag[2] == c"I":
        score[0] = load_i32(tag + 3)
    elif tag[2] == c"s":
        score[0] = <int16_t> load_u16(tag + 3)
    elif tag[2] == c"S":
        score[0] = load_u16(tag + 3)
    elif tag[2] == c"c":
        score[0] = <int8_t> tag[3]
    elif tag[2] == c"C":
        score[0] = tag[3]
    return score[0] != -1


cdef class Marker:
    """Finds duplicates. `length`: of the longest read; the queue reaches as far."""

    cdef Table table
    cdef Read *queue     # read number n is at n & mask
    cdef int64_t mask, head, tail, length
    cdef Bytes decided   # a byte for each read that left the queue, of blocks in which some wait
    cdef object waiting  # blocks with reads in the queue, with a view that keeps their bytes where they are
    cdef const uint8_t *culprit

    def __cinit__(self, int64_t length=300):
        self.mask = -1
        self.length = length
        self.waiting = deque()

    def __dealloc__(self):
        clear(&self.table)
        free(self.queue)
        free(self.decided.data)

    def add(self, block, Keys keys not None):
        """Add the reads of a block, with their keys. Returns blocks of which all is known now, each with a byte for each
        of its reads: 1 of a duplicate. Raises SourceError if a read of a pair with a duplicate has no tag ms."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t i, count = len(block)
        cdef int fault = NONE
        if keys.count != count:
            raise ValueError(f"keys of {keys.count} reads for a block of {count}")
        self.waiting.append((block, data))
        if count:
            with nogil:
                for i in range(count):
                    look_ahead(&data[0], &offsets[0], i, count)
                    fault = self.take(&data[offsets[i]], &keys.of[i])
                    if fault != NONE:
                        break
        if fault != NONE:
            name = (<const char *> record_name(self.culprit)).decode("ascii", "backslashreplace")
            raise SourceError(f"read {name} has no tag ms; use --fixmate, or run samtools fixmate -m first")
        return self.complete()

    def finish(self):
        """Return the other blocks; no reads may be added afterwards."""
        while self.head < self.tail:
            self.leave()
        return self.complete()

    cdef list complete(self):
        cdef Py_ssize_t at = 0
        found = []
        while self.waiting:
            block, _ = self.waiting[0]
            if at + len(block) > <Py_ssize_t> self.decided.size:
                break
            found.append((block, PyBytes_FromStringAndSize(<char *> self.decided.data + at, len(block))))
            at += len(block)
            self.waiting.popleft()
        self.decided.size -= at
        if self.decided.size and at:
            memmove(self.decided.data, self.decided.data + at, self.decided.size)
        return found

    cdef int take(self, const uint8_t *record, const Key *key) except -1 nogil:
        """Compare a read with those in the queue; reads that it is past leave."""
        cdef int64_t number = self.tail
        cdef int32_t ref = record_ref(record), pos = record_pos(record)
        cdef int fault = NONE
        cdef Read *read = self.new_read()
        cdef Read *first
        read.record, read.ref, read.kind = record, ref, key.kind
        if key.kind == NO_KEY:
            read.until = pos + self.length
        else:
            read.until = key.five_prime + 1 + self.length  # samtools counts these positions from 1
            self.compare_alone(read, number, key)
            if key.kind == PAIR:
                fault = self.compare_pair(read, number, key)
        while self.head < self.tail:
            first = &self.queue[self.head & self.mask]
            if first.until > pos and first.ref == ref and (ref != -1 or pos != -1):
                break
            self.leave()
        return fault

    cdef Read *new_read(self) except NULL nogil:
        """A place at the end of the queue."""
        cdef int64_t capacity, i
        cdef void *queue
        cdef Read *read
        if self.tail - self.head > self.mask:
            capacity = 2 * (self.mask + 1) if self.mask >= 0 else 1024
            queue = realloc(self.queue, capacity * sizeof(Read))
            if queue == NULL:
                with gil:
                    raise MemoryError(f"not enough memory for a queue of {capacity} reads")
            self.queue = <Read *> queue
            # Those at the end of the old array may belong to the end of the new one.
            for i in range(self.head, self.tail):
                if i & (capacity - 1) != i & self.mask:
                    self.queue[i & (capacity - 1)] = self.queue[i & self.mask]
            self.mask = capacity - 1
        read = &self.queue[self.tail & self.mask]
        self.tail += 1
        memset(read, 0, sizeof(Read))
        read.score = UNKNOWN
        read.pair_node = read.single_node = NOWHERE
        return read

    cdef int leave(self) except -1 nogil:
        """The first read of the queue leaves it."""
        cdef Read *read = &self.queue[self.head & self.mask]
        append(&self.decided, &read.duplicate, 1)
        if read.pair_node != NOWHERE:
            drop(&self.table, read.pair_node)
        if read.single_node != NOWHERE:
            drop(&self.table, read.single_node)
        self.head += 1
        return 0

    cdef int compare_alone(self, Read *read, int64_t number, const Key *key) except -1 nogil:
        """By the read alone. A single read is a duplicate of any read of a pair, and of a better single one."""
        cdef bint found
        cdef Node wanted = single_key(key)
        cdef int32_t at = find_or_add(&self.table, &wanted, number, &found)
        cdef Read *best
        if not found:
            read.single_node = at
            return 0
        best = &self.queue[self.table.nodes[at].value & self.mask]
        if read.kind == PAIR and best.kind == PAIR:
            return 0
        if read.kind == PAIR or (best.kind != PAIR and self.scored(read) > self.scored(best)):
            self.table.nodes[at].value = number
            best.duplicate = 1
        else:
            read.duplicate = 1
        return 0

    cdef int64_t scored(self, Read *read) noexcept nogil:
        """The score of a read alone."""
        if read.score == UNKNOWN:
            read.score = score_of(read.record)
        return read.score

    cdef int compare_pair(self, Read *read, int64_t number, const Key *key) except -1 nogil:
        """By both reads of a pair: the best one stays, by QC, then by qualities, then by name."""
        cdef bint found
        cdef Node wanted = pair_key(key)
        cdef int32_t at = find_or_add(&self.table, &wanted, number, &found)
        cdef Read *best
        cdef bint better, failed, best_failed
        if not found:
            read.pair_node = at
            return NONE
        best = &self.queue[self.table.nodes[at].value & self.mask]
        failed, best_failed = record_flag(read.record) & QCFAIL != 0, record_flag(best.record) & QCFAIL != 0
        if failed != best_failed:
            better = best_failed
        else:
            if not self.score_pair(best) or not self.score_pair(read):
                return NO_MATE_SCORE
            better = read.score > best.score
            if read.score == best.score:
                better = strcmp(<const char *> record_name(read.record), <const char *> record_name(best.record)) < 0
        if better:
            self.table.nodes[at].value = number
            best.duplicate = 1
        else:
            read.duplicate = 1
        return NONE

    cdef bint score_pair(self, Read *read) noexcept nogil:
        cdef int32_t of_mate
        if read.score == UNKNOWN:
            if not mate_score(read.record, &of_mate):
                self.culprit = read.record
                return False
            read.score = score_of(read.record) + of_mate
        return True
