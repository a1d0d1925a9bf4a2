"""Buckets for records, by their place in the genome. Records are added in any order; then each bucket is sorted.

The order is that of samtools sort: by reference id (-1 last), position, and strand (forward first). Records with equal
keys stay in input order.
"""

from cpython cimport array
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from bams3.bam.fields cimport load_u32, record_pos, record_ref
from bams3.bam.order cimport key_of

import array

from bams3.bam.records import RecordBlock

cdef array.array INT64 = array.array("q")

cdef enum:
    SMALLEST_SHIFT = 14  # log2 of the least length of an interval
    NO_KEY = -1


cdef struct Item:
    uint64_t key
    const uint8_t *record


cdef struct Page:
    Page *following
    size_t size      # bytes of records, which follow this struct …
    size_t capacity  # … and the room for them


cdef struct Heap:
    Page *first
    Page *last
    int64_t records


cdef Item *sort_items(Item *items, Item *spare, int64_t count) noexcept nogil:
    """Sort items by key, with a stable radix sort; return the array that holds the result, `items` or `spare`.

    Bytes that are the same in all keys are skipped.
    """
    cdef int64_t places[256]
    cdef int64_t i, at, found
    cdef uint64_t different = 0
    cdef bint in_order = True
    cdef int shift
    for i in range(1, count):
        different |= items[i].key ^ items[0].key
        in_order &= items[i - 1].key <= items[i].key
    for shift in range(0, 64, 8):
        if in_order or not different >> shift & 255:
            continue
        memset(places, 0, sizeof(places))
        for i in range(count):
            places[items[i].key >> shift & 255] += 1
        at = 0
        for i in range(256):
            found = places[i]
            places[i] = at
            at += found
        for i in range(count):
            at = items[i].key >> shift & 255
            spare[places[at]] = items[i]
            places[at] += 1
        items, spare = spare, items
    return items


cdef gathered(const Item *items, int64_t count):
    """Return a RecordBlock with copies of the records."""
    cdef array.array offsets = array.clone(INT64, count + 1, zero=False)
    cdef int64_t *ends = <int64_t *> offsets.data.as_longlongs
    cdef bytes data
    cdef uint8_t *out
    cdef int64_t i
    ends[0] = 0
    with nogil:
        for i in range(count):
            ends[i + 1] = ends[i] + 4 + load_u32(items[i].record)
    data = PyBytes_FromStringAndSize(NULL, ends[count])
    out = <uint8_t *> <char *> data
    with nogil:
        for i in range(count):
            memcpy(out + ends[i], items[i].record, ends[i + 1] - ends[i])
    return RecordBlock(data, offsets)


cdef class Buckets:
    """Takes records in any order.

    Each bucket holds the records of an interval of the genome, with all contigs concatenated. The last bucket holds the
    records without a reference. `size`: the bytes of memory that all buckets take, including the memory to sort them.

    Parameters
    ----------
    lengths
        Lengths of the contigs in bp.
    most
        Approximate number of intervals.
    page
        Number of bytes by which a bucket grows.
    """

    cdef Heap *heaps
    cdef int64_t *starts  # starts of the concatenated contigs, and the end of the last one
    cdef int64_t contigs, buckets
    cdef size_t page
    cdef int shift
    cdef readonly int64_t size

    def __cinit__(self, lengths, int64_t most, size_t page):
        cdef int64_t i
        self.contigs = len(lengths)
        self.starts = <int64_t *> malloc((self.contigs + 1) * sizeof(int64_t))
        if self.starts == NULL:
            raise MemoryError
        self.starts[0] = 0
        for i in range(self.contigs):
            self.starts[i + 1] = self.starts[i] + <int32_t> lengths[i]
        self.shift = SMALLEST_SHIFT
        while self.starts[self.contigs] >> self.shift >= most:
            self.shift += 1
        self.buckets = (self.starts[self.contigs] >> self.shift) + 2
        self.heaps = <Heap *> calloc(self.buckets, sizeof(Heap))
        if self.heaps == NULL:
            raise MemoryError
        self.page = page

    def __dealloc__(self):
        cdef int64_t i
        if self.heaps != NULL:
            for i in range(self.buckets):
                free_pages(&self.heaps[i])
        free(self.heaps)
        free(self.starts)

    def add(self, block not None):
        """Copy the records of a RecordBlock into their buckets."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef int64_t i = 0, count = offsets.shape[0] - 1
        with nogil:
            while i < count and self.put(&data[0] + offsets[i], offsets[i + 1] - offsets[i]):
                i += 1
        if i < count:
            raise MemoryError

    cdef bint put(self, const uint8_t *record, size_t length) noexcept nogil:
        """Copy a record into its bucket; return False if there is not enough memory."""
        cdef Heap *heap = &self.heaps[self.bucket_of(record)]
        cdef Page *page = heap.last
        cdef size_t capacity
        if page == NULL or page.capacity - page.size < length:
            capacity = max(self.page, length)
            page = <Page *> malloc(sizeof(Page) + capacity)
            if page == NULL:
                return False
            page.following, page.size, page.capacity = NULL, 0, capacity
            if heap.last == NULL:
                heap.first = page
            else:
                heap.last.following = page
            heap.last = page
            self.size += sizeof(Page) + capacity
        memcpy(<uint8_t *> (page + 1) + page.size, record, length)
        page.size += length
        heap.records += 1
        self.size += 2 * sizeof(Item)
        return True

    cdef int64_t bucket_of(self, const uint8_t *record) noexcept nogil:
        """Return the bucket of a record. A position beyond the end of a contig is in the bucket of the contig's end."""
        cdef int32_t ref = record_ref(record)
        if not 0 <= ref < self.contigs:
            return self.buckets - 1
        return min(self.starts[ref] + max(record_pos(record), 0), self.starts[ref + 1]) >> self.shift

    def take(self):
        """Return the buckets that have records, in genome order, and begin with empty ones."""
        cdef int64_t i
        cdef Bucket bucket
        taken = []
        for i in range(self.buckets):
            if self.heaps[i].records:
                bucket = Bucket.__new__(Bucket)
                bucket.heap = self.heaps[i]
                memset(&self.heaps[i], 0, sizeof(Heap))
                taken.append(bucket)
        self.size = 0
        return taken


cdef class Bucket:
    """Records of an interval of the genome, in input order."""

    cdef Heap heap
    cdef Item *items  # the records in order, once they are sorted

    def __dealloc__(self):
        free_pages(&self.heap)
        free(self.items)

    def sort(self, int64_t limit):
        """Sort the records.

        Return ranges [first, last) of them, each with at most `limit` bytes, or with one record.
        """
        cdef int64_t count = self.heap.records, first = 0, last
        cdef Item *spare = <Item *> malloc(count * sizeof(Item))
        cdef Item *items = <Item *> malloc(count * sizeof(Item))
        free(self.items)
        self.items = items
        if items == NULL or spare == NULL:
            free(spare)
            raise MemoryError
        with nogil:
            self.list_items()
            self.items = sort_items(items, spare, count)
        free(spare if self.items == items else items)
        ranges = []
        while first < count:
            with nogil:
                last = self.end_of_range(first, limit)
            ranges.append((first, last))
            first = last
        return ranges

    cdef void list_items(self) noexcept nogil:
        cdef Page *page = self.heap.first
        cdef const uint8_t *record
        cdef const uint8_t *end
        cdef int64_t i = 0
        while page != NULL:
            record = <const uint8_t *> (page + 1)
            end = record + page.size
            while record < end:
                self.items[i].key, self.items[i].record = key_of(record), record
                record += 4 + <int64_t> load_u32(record)
                i += 1
            page = page.following

    cdef int64_t end_of_range(self, int64_t first, int64_t limit) noexcept nogil:
        cdef int64_t last = first, size = 0
        while last < self.heap.records:
            size += 4 + <int64_t> load_u32(self.items[last].record)
            if last > first and size > limit:
                break
            last += 1
        return last

    def key(self, int64_t record):
        """Return the key of a record, by its index among the sorted records."""
        return self.items[record].key

    def block(self, int64_t first, int64_t last):
        """Return the sorted records of a range, as a RecordBlock."""
        return gathered(self.items + first, last - first)


cdef void free_pages(Heap *heap) noexcept nogil:
    cdef Page *page = heap.first
    cdef Page *following
    while page != NULL:
        following = page.following
        free(page)
        page = following


def last_key_in_order(block not None, int64_t key):
    """Return the key of the last record if all records are in order and none is before `key`; else -1."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t i, following
    with nogil:
        for i in range(offsets.shape[0] - 1):
            following = <int64_t> key_of(&data[0] + offsets[i])
            if following < key:
                key = NO_KEY
                break
            key = following
    return key


def first_key(block not None):
    """Return the key of the first record. There must be at least one."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    return key_of(&data[offsets[0]])


def records_before(block not None, uint64_t key, bint inclusive):
    """Return how many records of a sorted block have a smaller key or, with `inclusive`, a smaller or equal key."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t low = 0, high = offsets.shape[0] - 1, middle
    cdef uint64_t found
    while low < high:
        middle = (low + high) // 2
        found = key_of(&data[offsets[middle]])
        if found < key or (inclusive and found == key):
            low = middle + 1
        else:
            high = middle
    return low


def merged(blocks):
    """Return the records of several blocks, sorted, as one block.

    Records with equal keys stay in the order of the blocks.
    """
    cdef int64_t count = sum(map(len, blocks)), records, at = 0, i
    cdef Item *items = <Item *> malloc((2 * count + 1) * sizeof(Item))
    cdef Item *in_order
    cdef const uint8_t[::1] data
    cdef const int64_t[::1] offsets
    if items == NULL:
        raise MemoryError
    try:
        for block in blocks:  # the blocks keep the records in place
            data, offsets = block.data, block.offsets
            records = offsets.shape[0] - 1
            with nogil:
                for i in range(records):
                    items[at + i].record = &data[0] + offsets[i]
                    items[at + i].key = key_of(items[at + i].record)
            at += records
        with nogil:
            in_order = sort_items(items, items + count, count)
        return gathered(in_order, count)
    finally:
        free(items)
