"""Merges sorted records of several inputs, in the order of `samtools merge`.

The next record is the one with the smallest key among the first records of all inputs. Keys are ordered by reference id
(-1 last), position, and strand (forward first). If keys are equal, the record of the earlier input comes first.
"""

from cpython cimport array
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from bams3.bam.order cimport key_of
import array

from bams3.bam.records import RecordBlock

cdef array.array INT64 = array.array("q")


cdef struct Head:
    uint64_t key           # of the next record
    int64_t input, at, end  # number of the input; index of the next record, and the end, in its block


cdef struct Run:
    int64_t input, first, last


cdef inline bint before(const Head *a, const Head *b) noexcept nogil:
    return a.key < b.key or (a.key == b.key and a.input < b.input)


cdef void sink(Head *heap, int64_t count) noexcept nogil:
    """Restore the order of a heap whose root has changed."""
    cdef int64_t at = 0, least
    cdef Head moved = heap[0]
    while 2 * at + 1 < count:
        least = 2 * at + 1
        if least + 1 < count and before(&heap[least + 1], &heap[least]):
            least += 1
        if not before(&heap[least], &moved):
            break
        heap[at] = heap[least]
        at = least
    heap[at] = moved


cdef void make_heap(Head *heap, int64_t count) noexcept nogil:
    cdef int64_t i, parent
    cdef Head moved
    for i in range(1, count):
        moved = heap[i]
        while i > 0:
            parent = (i - 1) // 2
            if not before(&moved, &heap[parent]):
                break
            heap[i] = heap[parent]
            i = parent
        heap[i] = moved


cdef class Taken:
    """Runs of records, in order."""

    cdef Run *runs
    cdef int64_t count, room, records, size

    def __dealloc__(self):
        free(self.runs)

    cdef int add(self, int64_t input, int64_t first, int64_t last) noexcept nogil:
        """Add a run; return -1 if there is not enough memory."""
        cdef Run *grown
        if self.count == self.room:
            self.room = max(2 * self.room, 64)
            grown = <Run *> realloc(self.runs, self.room * sizeof(Run))
            if grown == NULL:
                return -1
            self.runs = grown
        self.runs[self.count] = Run(input, first, last)
        self.count += 1
        self.records += last - first
        return 0


cdef int take(
    Head *heap, int64_t count, const uint8_t **data, const int64_t **offsets, int64_t most, Taken taken
) noexcept nogil:
    """Take records in order until a block ends or `most` bytes are taken. Return -1 if there is not enough memory."""
    cdef const uint8_t *records
    cdef const int64_t *places
    cdef const Head *other
    cdef Head *head = &heap[0]
    cdef int64_t first, at
    while taken.size < most:
        records, places = data[head.input], offsets[head.input]
        first = at = head.at
        if count == 1:
            at = head.end
        else:
            other = &heap[1]
            if count > 2 and before(&heap[2], other):
                other = &heap[2]
            while True:
                at += 1
                if at == head.end:
                    break
                head.key = key_of(records + places[at])
                if not before(head, other):
                    break
        if taken.add(head.input, first, at) < 0:
            return -1
        taken.size += places[at] - places[first]
        head.at = at
        if at == head.end:
            return 0
        sink(heap, count)
    return 0


def merged(blocks, array.array starts not None, int64_t most):
    """Return the next records of several blocks, merged, and move `starts` past them.

    Merging stops when one of the blocks has no more records, or when the records take `most` bytes or more. If all
    records are consecutive ones of a single block, they are not copied.

    Parameters
    ----------
    blocks
        RecordBlocks, none of them used up.
    starts
        array('q'): index of the next record of each block.
    most
        Number of bytes at which merging stops.
    """
    cdef int64_t count = len(blocks), i
    cdef Taken taken = Taken()
    cdef const uint8_t[::1] view
    cdef const int64_t[::1] places
    cdef Head *heap = <Head *> malloc(count * sizeof(Head))
    cdef const uint8_t **data = <const uint8_t **> malloc(count * sizeof(uint8_t *))
    cdef const int64_t **offsets = <const int64_t **> malloc(count * sizeof(int64_t *))
    cdef int64_t *left = <int64_t *> starts.data.as_longlongs
    cdef int failed = 0
    try:
        if heap == NULL or data == NULL or offsets == NULL:
            raise MemoryError
        if len(starts) != count or count == 0:
            raise ValueError("as many starts as blocks are needed")
        for i, block in enumerate(blocks):
            view, places = block.data, block.offsets
            if not 0 <= left[i] < places.shape[0] - 1:
                raise ValueError("a block has no record there")
            data[i], offsets[i] = &view[0], &places[0]
            heap[i] = Head(key_of(data[i] + places[left[i]]), i, left[i], places.shape[0] - 1)
        with nogil:
            make_heap(heap, count)
            failed = take(heap, count, data, offsets, most, taken)
        if failed:
            raise MemoryError
        for i in range(count):
            left[heap[i].input] = heap[i].at
        if taken.count == 1:
            return blocks[taken.runs[0].input][taken.runs[0].first : taken.runs[0].last]
        return copied(taken, data, offsets)
    finally:
        free(heap)
        free(data)
        free(offsets)


cdef copied(Taken taken, const uint8_t **data, const int64_t **offsets):
    """Return a RecordBlock with copies of the runs."""
    cdef array.array ends = array.clone(INT64, taken.records + 1, zero=True)
    cdef int64_t *end = <int64_t *> ends.data.as_longlongs
    cdef bytes copy = PyBytes_FromStringAndSize(NULL, taken.size)
    cdef uint8_t *out = <uint8_t *> <char *> copy
    cdef const int64_t *places
    cdef int64_t i, record, at = 0, shift
    with nogil:
        for i in range(taken.count):
            places = offsets[taken.runs[i].input]
            shift = at - places[taken.runs[i].first]
            for record in range(taken.runs[i].first, taken.runs[i].last):
                end += 1
                end[0] = places[record + 1] + shift
            memcpy(
                out + at, data[taken.runs[i].input] + places[taken.runs[i].first],
                places[taken.runs[i].last] - places[taken.runs[i].first],
            )
            at += places[taken.runs[i].last] - places[taken.runs[i].first]
    return RecordBlock(copy, ends)
