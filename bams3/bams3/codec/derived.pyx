"""Tags whose values follow from other fields and are not stored if they do.

MD:Z, NM: of an aligned read (see ``reference``) that lies within the reference's window. MD is as written by samtools
calmd: matching bases are counted; mismatched bases and, after ^, deleted bases are those of the
reference; a mismatch is where the bases differ. NM is the number of mismatched, inserted and deleted bases.
MC:Z, MQ, ms: CIGAR (not ``*``), MAPQ, and the sum of the qualities ≥ 15, of the record's partner (see ``mates``).
NM, MQ and ms may have any integer type that can hold the value.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.decimal cimport put_unsigned
from bams3.codec.bases cimport PADDING, expand, first_difference, longest_of
from bams3.codec.mates cimport find_partners
from bams3.codec.reference cimport Reference, is_aligned
from bams3.bam.fields cimport BASE_LETTERS, CIGAR_LETTERS, DELETION, INSERTION, MATCHES, QUERY, REFERENCE, look_ahead
from bams3.bam.fields cimport record_qual, record_seq

cdef enum:
    MD = 0x444D
    MC = 0x434D
    NM = 0x4D4E
    MQ = 0x514D
    MS = 0x736D
    GOOD_QUALITY = 15
    NUMBER = 12  # bytes that a number and an operation take at most, and those that `put_unsigned` writes

cdef uint64_t HIGH_BITS = 0x8080808080808080, TO_HIGH_BITS = HIGH_BITS - GOOD_QUALITY * 0x0101010101010101
cdef uint64_t LOW_BYTES = 0x00FF00FF00FF00FF, LOW_PAIRS = 0x0000FFFF0000FFFF


cdef int put_integer(Buffer out, uint8_t kind, int64_t value) except -1 nogil:
    """Append a value of a tag's type; returns 0, and appends nothing, if the type cannot hold it."""
    cdef int width
    cdef int64_t low = 0, high
    if kind == b"c" or kind == b"C":
        width = 1
    elif kind == b"s" or kind == b"S":
        width = 2
    else:
        width = 4
    high = (<int64_t> 1 << 8 * width) - 1
    if kind == b"c" or kind == b"s" or kind == b"i":
        low = -(high // 2) - 1
        high = high // 2
    if not low <= value <= high:
        return 0
    out.put(&value, width)
    return 1


cdef inline int64_t sum_of_good(const uint8_t *qual, int64_t count) noexcept nogil:
    """The sum of the qualities that are good, eight at a time: compilers turn the loop over words into vectors."""
    cdef int64_t total = 0, i, words
    cdef uint64_t word = 0, good, sums
    while count >= 8:
        words = min(count // 8, <int64_t> 128)  # as many as 16-bit sums can hold
        sums = 0
        for i in range(words):
            memcpy(&word, qual + 8 * i, 8)
            good = (((word & ~HIGH_BITS) + TO_HIGH_BITS) | word) & HIGH_BITS
            word &= (good << 1) - (good >> 7)
            sums += (word & LOW_BYTES) + (word >> 8 & LOW_BYTES)
        sums = (sums & LOW_PAIRS) + (sums >> 16 & LOW_PAIRS)
        total += <int64_t> (<uint32_t> sums + (sums >> 32))
        qual += 8 * words
        count -= 8 * words
    for i in range(count):
        if qual[i] >= GOOD_QUALITY:
            total += qual[i]
    return total


@cython.final
cdef class Derived:
    """Derives tags from the columns of a row group."""

    def __cinit__(self):
        self.seqs = self.quals = NULL
        self.sums = NULL

    def __dealloc__(self):
        free(self.sums)
        free(self.seqs)
        free(self.quals)

    def __init__(self, Reference reference not None, pos, flag, mapq, l_seq, cigars, previous):
        """`reference`: made from `pos`, `l_seq` and `cigars`; shapes (n,). `of_block` or `of_columns` adds the rest."""
        cdef int64_t longest
        self.reference = reference
        self.pos, self.l_seq, self.mapq = pos, l_seq, mapq
        self.query_length, self.reference_length = cigars.query_length, cigars.reference_length
        self.first, self.count, self.pool = cigars.start, cigars.count, cigars.pool
        self.partner = find_partners(previous, flag)
        self.records = self.pos.shape[0]
        self.measured = -1
        self.md = Buffer()
        with nogil:
            longest = longest_of(self.l_seq)
        self.bases = Buffer(longest + PADDING)
        self.seqs = <const uint8_t **> malloc((self.records + 1) * sizeof(uint8_t *))
        self.quals = <const uint8_t **> malloc((self.records + 1) * sizeof(uint8_t *))
        if self.seqs == NULL or self.quals == NULL:
            raise MemoryError("not enough memory for the tags of a row group")

    def of_block(self, block):
        """Take SEQ and QUAL from the records of a block. Returns self."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t i
        with nogil:
            for i in range(self.records):
                look_ahead(&data[0], &offsets[0], i, self.records)
                self.seqs[i] = record_seq(&data[offsets[i]])
                self.quals[i] = record_qual(&data[offsets[i]])
        self.held = block.data
        return self

    def of_columns(self, seq, qual):
        """Take SEQ and QUAL from columns: concatenated, with lengths l_seq. Returns self."""
        cdef const uint8_t[::1] seqs = seq, quals = qual
        cdef const uint8_t *next_seq = &seqs[0] if seqs.shape[0] else NULL
        cdef const uint8_t *next_qual = &quals[0] if quals.shape[0] else NULL
        cdef Py_ssize_t i
        cdef int64_t bases = 0, packed = 0
        with nogil:
            for i in range(self.records):
                packed += (<int64_t> self.l_seq[i] + 1) // 2
                bases += self.l_seq[i]
        if packed > seqs.shape[0] or bases > quals.shape[0]:
            raise ValueError("the columns are shorter than the sum of l_seq")
        with nogil:
            for i in range(self.records):
                self.seqs[i] = next_seq
                self.quals[i] = next_qual
                next_seq += (<int64_t> self.l_seq[i] + 1) // 2
                next_qual += self.l_seq[i]
        self.held = (seq, qual)
        return self

    cdef int put(self, uint32_t key, Py_ssize_t record, Buffer out) except -1 nogil:
        """Append the value of a record's tag ``key`` (id, type); returns 0, and appends nothing, if it has none."""
        cdef uint32_t name = key & 0xFFFF
        cdef uint8_t kind = <uint8_t> (key >> 16 & 0x7F)
        cdef int32_t mate
        if name == MD or name == NM:
            if not self.measure(record):
                return 0
            if name == NM:
                return put_integer(out, kind, self.nm)
            out.put(self.md.data, self.md.size)
            return 1
        mate = self.partner[record]
        if mate < 0:
            return 0
        if name == MQ:
            return put_integer(out, kind, self.mapq[mate])
        if name == MC:
            return self.put_cigar(mate, out)
        if self.sums == NULL:
            self.add_qualities()
        return put_integer(out, kind, self.sums[mate])

    cdef int add_qualities(self) except -1 nogil:
        """Fill ``sums``, in the order of the records: mates are too far apart for the cache."""
        cdef Py_ssize_t i
        self.sums = <int64_t *> malloc((self.records + 1) * sizeof(int64_t))
        if self.sums == NULL:
            with gil:
                raise MemoryError("not enough memory for the tags of a row group")
        for i in range(self.records):
            self.sums[i] = sum_of_good(self.quals[i], self.l_seq[i])
        return 0

    cdef int put_cigar(self, Py_ssize_t record, Buffer out) except -1 nogil:
        cdef uint32_t k, operation
        cdef uint8_t *p
        if not self.count[record]:
            return 0
        out.reserve(<size_t> NUMBER * self.count[record] + 1)
        p = out.data + out.size
        for k in range(self.count[record]):
            operation = self.pool[self.first[record] + k]
            p = put_unsigned(p, operation >> 4)
            p[0] = CIGAR_LETTERS[operation & 15]
            p += 1
        p[0] = 0
        out.size = p + 1 - out.data
        return 1

    cdef int measure(self, Py_ssize_t i) except -1 nogil:
        """Compute MD and NM of record i into ``md`` and ``nm``; returns whether it has them."""
        cdef const uint8_t *window = self.reference.bases
        cdef const uint8_t *bases = self.bases.data
        cdef int64_t at, length, k, start = 0, matched = 0
        cdef uint32_t j, operation
        cdef uint8_t *p
        if self.measured == i:
            return self.known
        self.measured = i
        self.known = (
            is_aligned(self.pos[i], self.l_seq[i], self.query_length[i])
            and self.reference.spans(self.pos[i], self.reference_length[i])
        )
        if not self.known:
            return 0
        at = self.pos[i] - self.reference.start
        self.nm = 0
        self.md.size = 0
        self.md.reserve(2 * <size_t> self.l_seq[i] + self.reference_length[i] + NUMBER * (<size_t> self.count[i] + 2))
        p = self.md.data
        expand(self.seqs[i], self.l_seq[i], self.bases.data)
        for j in range(self.count[i]):
            operation = self.pool[self.first[i] + j] & 15
            length = self.pool[self.first[i] + j] >> 4
            if (MATCHES >> operation) & 1:
                k = 0
                while True:
                    matched -= k
                    k = first_difference(window + at, bases + start, k, length)
                    matched += k
                    if k == length:
                        break
                    p = put_unsigned(p, <uint64_t> matched)
                    p[0] = BASE_LETTERS[window[at + k] & 15]
                    p += 1
                    self.nm += 1
                    matched = 0
                    k += 1
            elif operation == DELETION:
                p = put_unsigned(p, <uint64_t> matched)
                matched = 0
                p[0] = b"^"
                p += 1
                for k in range(length):
                    p[0] = BASE_LETTERS[window[at + k] & 15]
                    p += 1
                self.nm += length
            elif operation == INSERTION:
                self.nm += length
            if (REFERENCE >> operation) & 1:
                at += length
            if (QUERY >> operation) & 1:
                start += length
        p = put_unsigned(p, <uint64_t> matched)
        p[0] = 0
        self.md.size = p + 1 - self.md.data
        return 1
