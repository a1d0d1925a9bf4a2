"""Tags that are not stored if their values follow from other fields.

MD:Z and NM are derived for aligned reads (see ``reference``) within the reference's window. MD is as samtools calmd
writes it: matching bases are counted; mismatched bases, and deleted bases after ^, are those of the reference. A
mismatch is where the bases differ. NM is the number of mismatched, inserted and deleted bases.
MC:Z, MQ and ms are the CIGAR (not ``*``), MAPQ, and the sum of the qualities ≥ 15 of the record's partner (see
``mates``). NM, MQ and ms may have any integer type that can hold the value.
"""

cimport cython
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from bams3.buffer cimport Buffer, copy_short
from bams3.decimal cimport put_unsigned
from bams3.codec.bases cimport PADDING, expand, first_difference, longest_of
from bams3.codec.mates cimport find_partners
from bams3.codec.reference cimport Reference, is_aligned
from bams3.codec.sequences cimport Mismatched
from bams3.bam.fields cimport BASE_LETTERS, CIGAR_LETTERS, DELETION, INSERTION, MATCHES, QUERY, REFERENCE, look_ahead
from bams3.bam.fields cimport record_qual, record_seq
from bams3.bam.qualities cimport sum_of_good

cdef enum:
    MD = 0x444D
    MC = 0x434D
    NM = 0x4D4E
    MQ = 0x514D
    MS = 0x736D
    NUMBER = 12  # at most: bytes of a number with an operation, and bytes that `put_unsigned` writes


cdef inline bint holds(uint8_t kind, int64_t value) noexcept nogil:
    """Whether a tag of this integer type can have a value."""
    if kind == b"C":
        return value == <uint8_t> value
    if kind == b"c":
        return value == <int8_t> value
    if kind == b"S":
        return value == <uint16_t> value
    if kind == b"s":
        return value == <int16_t> value
    return value == <uint32_t> value if kind == b"I" else value == <int32_t> value


cdef inline uint8_t *put_integer(uint8_t *p, uint8_t kind, int64_t value) noexcept nogil:
    """Write a value of a tag's type, in four bytes at most, and return its end; NULL if the type cannot hold it."""
    cdef uint32_t low = <uint32_t> value
    if not holds(kind, value):
        return NULL
    memcpy(p, &low, 4)  # the size is constant, so this is one instruction
    return p + (1 if kind == b"C" or kind == b"c" else 2 if kind == b"S" or kind == b"s" else 4)


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
        """Columns of shape (n,); `reference` must be made from `pos`, `l_seq` and `cigars`. Call `of_block` or
        `of_columns` next, to add SEQ and QUAL."""
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
        self.bases, self.places = Buffer(longest + PADDING), Buffer(width=4)
        self.quals = <const uint8_t **> malloc((self.records + 1) * sizeof(uint8_t *))
        if self.quals == NULL:
            raise MemoryError("not enough memory for the tags of a row group")

    def of_block(self, block):
        """Use SEQ and QUAL of the records of a block. Returns self."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t i
        self.seqs = <const uint8_t **> malloc((self.records + 1) * sizeof(uint8_t *))
        if self.seqs == NULL:
            raise MemoryError("not enough memory for the tags of a row group")
        with nogil:
            for i in range(self.records):
                look_ahead(&data[0], &offsets[0], i, self.records)
                self.seqs[i] = record_seq(&data[offsets[i]])
                self.quals[i] = record_qual(&data[offsets[i]])
        self.held = block.data
        return self

    def of_columns(self, Mismatched mismatched not None, qual):
        """Use the decoded mismatches of SEQ, and the concatenated QUALs, whose lengths are l_seq. Returns self."""
        cdef const uint8_t[::1] quals = qual
        cdef const uint8_t *next_qual = &quals[0] if quals.shape[0] else NULL
        cdef Py_ssize_t i
        cdef int64_t bases = 0
        with nogil:
            for i in range(self.records):
                bases += self.l_seq[i]
        if bases > quals.shape[0] or len(mismatched.first) != self.records + 1:
            raise ValueError("the columns do not match l_seq")
        with nogil:
            for i in range(self.records):
                self.quals[i] = next_qual
                next_qual += self.l_seq[i]
        self.mismatched, self.held = mismatched, qual
        return self

    cdef uint8_t *put(self, uint32_t key, Py_ssize_t record, Buffer out, uint8_t *p, size_t after) except? NULL nogil:
        """Write the value of a record's tag ``key`` (id, type) at p, the end of the bytes of ``out``. There must be
        room for ``after`` bytes, 4 or more. Returns the end of the value, after which there is again that much room;
        NULL if no value can be derived for the record."""
        cdef uint32_t name = key & 0xFFFF
        cdef uint8_t kind = <uint8_t> (key >> 16 & 0x7F)
        cdef int32_t mate
        if name == MD or name == NM:
            if self.measured != record:
                self.measure(record)
            if not self.known:
                return NULL
            if name == NM:
                p = put_integer(p, kind, self.nm)
                return out.room(p, after) if p != NULL else NULL
            p = out.room(p, self.md.size + 15 + after)
            copy_short(p, self.md.data, self.md.size, self.md.capacity)
            return p + self.md.size
        mate = self.partner[record]
        if mate < 0:
            return NULL
        if name == MC:
            return self.put_cigar(mate, out, p, after)
        if name != MQ and self.sums == NULL:
            self.add_qualities()
        p = put_integer(p, kind, self.mapq[mate] if name == MQ else self.sums[mate])
        return out.room(p, after) if p != NULL else NULL

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

    cdef uint8_t *put_cigar(self, Py_ssize_t record, Buffer out, uint8_t *p, size_t after) except? NULL nogil:
        cdef uint32_t k, operation
        if not self.count[record]:
            return NULL
        p = out.room(p, <size_t> NUMBER * self.count[record] + 1 + after)
        for k in range(self.count[record]):
            operation = self.pool[self.first[record] + k]
            p = put_unsigned(p, operation >> 4)
            p[0] = CIGAR_LETTERS[operation & 15]
            p += 1
        p[0] = 0
        return p + 1

    cdef int measure(self, Py_ssize_t i) except -1 nogil:
        """Compute MD and NM of record i into ``md`` and ``nm``; returns whether they can be derived."""
        cdef const uint8_t *window = self.reference.bases
        cdef const int32_t *place
        cdef const int32_t *last
        cdef int64_t at, length, k, done, start = 0, matched = 0
        cdef uint32_t j, operation
        cdef uint8_t *p
        self.measured = i
        self.known = (
            is_aligned(self.pos[i], self.l_seq[i], self.query_length[i])
            and self.reference.covers(self.pos[i], self.reference_length[i])
        )
        if not self.known:
            return 0
        at = self.pos[i] - self.reference.start
        self.nm = 0
        self.md.size = 0
        self.md.reserve(2 * <size_t> self.l_seq[i] + self.reference_length[i] + NUMBER * (<size_t> self.count[i] + 2))
        p = self.md.data
        if self.mismatched is None:
            self.compare(i, at)
            place = <const int32_t *> self.places.data
            last = place + self.places.size // sizeof(int32_t)
        else:
            place = <const int32_t *> self.mismatched.places.data.as_voidptr + self.mismatched.first.data.as_longlongs[i]
            last = <const int32_t *> self.mismatched.places.data.as_voidptr + self.mismatched.first.data.as_longlongs[i + 1]
        for j in range(self.count[i]):
            operation = self.pool[self.first[i] + j] & 15
            length = self.pool[self.first[i] + j] >> 4
            if (MATCHES >> operation) & 1:
                done = 0
                while place < last and place[0] < start + length:
                    k = place[0] - start
                    place += 1
                    if k < 0:  # the reference has no base here: the streams are damaged
                        continue
                    p = put_unsigned(p, <uint64_t> (matched + k - done))
                    p[0] = BASE_LETTERS[window[at + k] & 15]
                    p += 1
                    self.nm += 1
                    matched, done = 0, k + 1
                matched += length - done
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

    cdef int compare(self, Py_ssize_t i, int64_t at) except -1 nogil:
        """Find the mismatches of record i, whose POS is ``at`` in the window, and put them into ``places``."""
        cdef const uint8_t *bases = self.bases.data
        cdef int64_t length, k, start = 0
        cdef uint32_t j, operation
        expand(self.seqs[i], self.l_seq[i], self.bases.data)
        self.places.size = 0
        for j in range(self.count[i]):
            operation = self.pool[self.first[i] + j] & 15
            length = self.pool[self.first[i] + j] >> 4
            if (MATCHES >> operation) & 1:
                k = first_difference(self.reference.bases + at, bases + start, 0, length)
                while k < length:
                    self.places.put_u32(<uint32_t> (start + k))
                    k = first_difference(self.reference.bases + at, bases + start, k + 1, length)
            if (REFERENCE >> operation) & 1:
                at += length
            if (QUERY >> operation) & 1:
                start += length
        return 0
