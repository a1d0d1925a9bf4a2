"""Fills in mate fields as `samtools fixmate -m` (1.24) does, in templates: consecutive reads with the same name.

Every read is sanitized. The first two primary reads of a template are mates: each gets the position and strand of the
other, the tags MQ, MC and ms, and TLEN. If there are more primary reads, the first one is also the mate of each of
them, and keeps the fields that the last one gives it. A single primary read loses its mate. A supplementary read of a
pair gets position, strand, MQ and MC of its mate's primary read. Secondary reads do not change.

The records are identical to those that `samtools sort` writes if it reads the output of `samtools fixmate`, including
bins and where a long CIGAR is stored.
"""

from cpython cimport array
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memset

from bams3.bam.cigar cimport put_cigar, spans
from bams3.bam.editable cimport (
    CG, LONGEST_OPERATION, MC, MOST_OPERATIONS, MQ, MS, Editable, append_integer, begin_tag, delete_first, load, put,
    stored_size,
)
from bams3.bam.fields cimport (
    MREVERSE, MUNMAP, PAIRED, PROPER_PAIR, READ2, REVERSE, SECONDARY, SUPPLEMENTARY, UNMAP, record_l_seq, record_name,
    record_name_length, record_qual,
)
from bams3.bam.qualities cimport sum_of_good
from bams3.bam.sanitize cimport sanitize
from bams3.bam.validity cimport NONE, check_record
from bams3.buffer cimport Buffer, Bytes, append

import array

from bams3.bam.records import RecordBlock
from bams3.errors import SourceError

cdef array.array INT64 = array.array("q")

cdef enum:
    GROWTH = 40  # bytes that a record typically grows by
    ROOM = 16    # bytes of an MC tag, in addition to ten for each operation

MOST = 1 << 30
"""The most bytes that the tags of a template may take."""
LONGEST = INT32_MAX
"""The most bytes that a record may have, not counting its length field."""


cdef inline bint same_name(const uint8_t *a, const uint8_t *b) noexcept nogil:
    return (
        record_name_length(a) == record_name_length(b)
        and memcmp(record_name(a), record_name(b), record_name_length(a)) == 0
    )


cdef int refuse(const uint8_t *record, str fault) except -1 with gil:
    name = (<const char *> record_name(record))[: record_name_length(record) - 1].decode("ascii", "backslashreplace")
    raise SourceError(f"read {name}: {fault}")


cdef class Template:
    """The reads of a template. `lengths` are those of the references; `most` and `longest` are as in `mended`."""

    cdef Editable *reads
    cdef int64_t count, capacity, most, longest
    cdef const int32_t *lengths
    cdef int64_t references
    cdef Bytes written

    def __dealloc__(self):
        cdef int64_t i
        for i in range(self.capacity):
            free(self.reads[i].operations.data)
            free(self.reads[i].tags.data)
        free(self.reads)
        free(self.written.data)

    cdef int add(self, const uint8_t *record) except -1 nogil:
        cdef Editable *reads
        cdef int64_t capacity
        if self.count == self.capacity:
            capacity = 2 * self.capacity + 4
            reads = <Editable *> realloc(self.reads, capacity * sizeof(Editable))
            if reads == NULL:
                with gil:
                    raise MemoryError("not enough memory for the reads of a template")
            memset(reads + self.capacity, 0, (capacity - self.capacity) * sizeof(Editable))
            self.reads, self.capacity = reads, capacity
        load(&self.reads[self.count], record)
        sanitize(&self.reads[self.count], self.lengths)
        self.count += 1
        return 0

    cdef int mend(self) except -1 nogil:
        cdef Editable *first = NULL
        cdef Editable *second = NULL
        cdef Editable *read
        cdef Editable *last[2]  # the last primary read that is not READ2, and the last one that is
        cdef int64_t i, held = 0
        cdef uint32_t score = 0
        last[0] = last[1] = NULL
        for i in range(self.count):
            read = &self.reads[i]
            if read.flag & (SECONDARY | SUPPLEMENTARY):
                continue
            last[is_read2(read)] = read
            if first == NULL:
                first = read
                continue
            if second == NULL:
                score = score_of(first)
            second = read
            pair(first, second, score)
            held = self.hold(held + <int64_t> second.tags.size, first)
        if first != NULL and second == NULL:
            first.next_ref = first.next_pos = -1
            first.tlen = 0
            first.flag &= ~(MREVERSE | PROPER_PAIR)
        for i in range(self.count):
            read = &self.reads[i]
            if read.flag & SUPPLEMENTARY and read.flag & PAIRED and last[not is_read2(read)] != NULL:
                describe(last[not is_read2(read)], read)
                held = self.hold(held + <int64_t> read.tags.size, first)
        return 0

    cdef int64_t hold(self, int64_t size, const Editable *first) except -1 nogil:
        """Refuse a template with too many bytes of tags: many reads may all get the long CIGAR of one of them."""
        if size + <int64_t> first.tags.size > self.most:
            refuse(first.record, "too many reads have this name; give each template a unique name")
        return size

    cdef int put(self, Editable *read, Buffer out) except -1 nogil:
        """Append a record as it is after it has been written and read again."""
        cdef int64_t start = out.size
        self.write(read, out)
        if read.edited or (read.cigar_count and read.first[CG] >= 0):
            if check_record(out.data + start, out.size - start, self.references) != NONE:
                refuse(read.record, "its CIGAR, shortened to end within its reference, does not match the read")
            self.written.size = 0
            append(&self.written, out.data + start, out.size - start)
            out.size = start
            load(read, self.written.data)
            self.write(read, out)
        return 0

    cdef int write(self, const Editable *read, Buffer out) except -1 nogil:
        cdef int64_t query, reference = 0
        if stored_size(read) - 4 > self.longest:
            refuse(read.record, "with the tags of its mate, it is larger than a BAM record can be")
        if read.cigar_count > MOST_OPERATIONS:
            spans(read.cigar, read.cigar_count, &query, &reference)
            if max(reference, <int64_t> record_l_seq(read.record)) > LONGEST_OPERATION:
                refuse(read.record, "BAM can't hold its CIGAR, which has more than 65,535 operations and spans 2^28 or more")
        return put(read, reference, out)


cdef inline bint is_read2(const Editable *read) noexcept nogil:
    return read.flag & READ2 != 0


cdef uint32_t score_of(const Editable *read) noexcept nogil:
    return <uint32_t> sum_of_good(record_qual(read.record), record_l_seq(read.record))


cdef int pair(Editable *first, Editable *second, uint32_t first_score) except -1 nogil:
    """Make two reads mates."""
    cdef bint both_mapped
    first.flag |= PAIRED
    second.flag |= PAIRED
    place_beside(first, second)
    place_beside(second, first)
    describe(first, second)
    describe(second, first)
    set_score(second, first_score)
    set_score(first, score_of(second))
    both_mapped = not (first.flag | second.flag) & (UNMAP | MUNMAP)
    first.tlen = <int32_t> (five_prime(second) - five_prime(first)) if both_mapped and first.ref == second.ref else 0
    second.tlen = -first.tlen
    if not may_be_proper(first, second):
        first.flag &= ~PROPER_PAIR
        second.flag &= ~PROPER_PAIR
    return 0


cdef inline void place_beside(const Editable *mate, Editable *read) noexcept nogil:
    """Give an unmapped read the position of its mapped mate."""
    if read.flag & UNMAP and not mate.flag & UNMAP:
        read.ref, read.pos = mate.ref, mate.pos


cdef inline int64_t five_prime(const Editable *read) noexcept nogil:
    """The position of the 5' end of a mapped read."""
    return read.end if read.flag & REVERSE else read.pos


cdef inline bint may_be_proper(const Editable *first, const Editable *second) noexcept nogil:
    """Whether mates are on the same reference and point towards each other."""
    if (first.flag | second.flag) & UNMAP or first.ref != second.ref:
        return False
    if five_prime(first) > five_prime(second):
        first, second = second, first
    return not first.flag & REVERSE and second.flag & REVERSE != 0


cdef int describe(const Editable *mate, Editable *read) except -1 nogil:
    """Set the fields of a read that say where its mate is, and how the mate is aligned."""
    read.next_ref, read.next_pos = mate.ref, mate.pos
    read.flag = read.flag | MREVERSE if mate.flag & REVERSE else read.flag & ~MREVERSE
    if mate.flag & UNMAP:
        read.flag |= MUNMAP
    else:
        delete_first(read, MQ)
        append_integer(read, MQ, mate.mapq)
    if not (mate.flag & read.flag & UNMAP):
        delete_first(read, MC)
        append_cigar(read, mate)
    return 0


cdef int set_score(Editable *read, uint32_t score) except -1 nogil:
    delete_first(read, MS)
    return append_integer(read, MS, score)


cdef int append_cigar(Editable *read, const Editable *mate) except -1 nogil:
    """Append the tag MC."""
    cdef uint8_t *end = put_cigar(
        begin_tag(read, MC, b"Z", 10 * mate.cigar_count + ROOM), mate.cigar, mate.cigar_count
    )
    end[0] = 0
    read.tags.size = end + 1 - read.tags.data
    return 0


def mended(blocks not None, const int32_t[::1] lengths not None, int64_t most=MOST, int64_t longest=LONGEST):
    """Fill in the mate fields of whole templates.

    Parameters
    ----------
    blocks
        Consecutive RecordBlocks of validated records.
    lengths
        Lengths of the references in bp, by reference id.
    most
        The most bytes that the tags of a template may take.
    longest
        The most bytes that a record may have.

    Returns
    -------
    RecordBlock
        The changed records.

    Raises
    ------
    SourceError
        For a record or template that is too large.
    """
    cdef int64_t count = sum(map(len, blocks)), size = 0, at = 0, i, last, records
    cdef array.array offsets = array.clone(INT64, count + 1, zero=True)
    cdef int64_t *ends = <int64_t *> offsets.data.as_longlongs
    cdef const uint8_t **given = <const uint8_t **> malloc((count + 1) * sizeof(void *))
    cdef const uint8_t[::1] data
    cdef const int64_t[::1] starts
    cdef Template template = Template()
    cdef Buffer out
    if given == NULL:
        raise MemoryError
    template.lengths, template.references = &lengths[0] if lengths.shape[0] else NULL, lengths.shape[0]
    template.most, template.longest = most, longest
    try:
        for block in blocks:  # `blocks` keeps the records in memory
            data, starts = block.data, block.offsets
            records = starts.shape[0] - 1
            for i in range(records):
                given[at + i] = &data[0] + starts[i]
            at += records
            size += starts[records] - starts[0]
        out = Buffer(size + GROWTH * count)
        with nogil:
            at = 0
            while at < count:
                template.count = 0
                last = at
                while last < count and same_name(given[at], given[last]):
                    template.add(given[last])
                    last += 1
                template.mend()
                for i in range(template.count):
                    template.put(&template.reads[i], out)
                    ends[at + i + 1] = out.size
                at = last
        return RecordBlock(out, offsets)
    finally:
        free(given)


def last_template(block not None):
    """Index of the first of the records at the end of a block that have the same name. The block must not be empty."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t last = offsets.shape[0] - 2
    with nogil:
        while last and same_name(&data[0] + offsets[last - 1], &data[0] + offsets[last]):
            last -= 1
    return last


def continues(block not None, following not None):
    """Whether the first record of the block `following` has the same name as the last record of `block`."""
    cdef const uint8_t[::1] data = block.data, next_data = following.data
    cdef const int64_t[::1] offsets = block.offsets, next_offsets = following.offsets
    return same_name(&data[offsets[len(block) - 1]], &next_data[next_offsets[0]])
