"""The reference, as far as the reads of a row group tell.

Reads are stored by how they differ from it, so nothing outside the row group is needed. It covers the positions to
which an operation M, =, X or D of an *aligned* read (one whose CIGAR is as long as its SEQ, with POS ≥ 0)
refers, within a window from the first aligned read's POS to the last end, of at most 2^22 positions. Where
reads have the tag MD the bases are those of the reference that they were aligned to; elsewhere what most reads
say. Any bases would do: they decide the size of what is stored, not what is read back.

Streams: ``reference``, the bases of the covered positions in order (see ``bases``).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from bams3.codec.bases cimport (
    PADDING, BaseReader, BaseWriter, expand, first_difference, from_two_bits, two_bits,
)
from bams3.sources.fields cimport load_u32, record_end, record_seq, record_tags, tag_width

from bams3.errors import FormatError

cdef enum:
    MAX_LENGTH = 1 << 22
    UNKNOWN = 255  # covered, and no read tells the base
    ADENINE = 1
    UNTOLD = 15    # N
    # Bits by operation, MIDNSHP=X.
    MATCHES = 0b110000001
    REFERENCE = 0b110001101
    QUERY = 0b110010011
    DELETION = 2

cdef extern from *:
    """
    static const char BAMS3_LETTERS[] = "=ACMGRSVTWYHKDBN";
    """
    const char *LETTERS "BAMS3_LETTERS"

cdef uint8_t BASE_OF[256]


cdef void fill_table() noexcept:
    cdef int i
    memset(BASE_OF, UNTOLD, 256)
    for i in range(16):
        BASE_OF[<uint8_t> LETTERS[i]] = <uint8_t> i

fill_table()


cdef const uint8_t *find_md(const uint8_t *r) noexcept nogil:
    """The text of a record's first tag MD:Z, or NULL."""
    cdef const uint8_t *p = record_tags(r)
    cdef const uint8_t *end = record_end(r)
    cdef int width
    while p < end:
        width = tag_width(p[2])
        if width:
            p += 3 + width
        elif p[2] == b"B":
            p += 8 + <int64_t> load_u32(p + 4) * tag_width(p[3])
        else:
            if p[0] == b"M" and p[1] == b"D" and p[2] == b"Z":
                return p + 3
            p += 3
            while p[0]:
                p += 1
            p += 1
    return NULL


cdef inline const uint8_t *number(const uint8_t *p, int64_t *value) noexcept nogil:
    """The decimal number at p (0 where there is none), and what follows it."""
    value[0] = 0
    while 48 <= p[0] <= 57:
        if value[0] < MAX_LENGTH:
            value[0] = 10 * value[0] + p[0] - 48
        p += 1
    return p


cdef class Reference:
    """The bases (4-bit codes) of the positions [``start``, ``start + length``)."""

    def __cinit__(self):
        self.bases = NULL
        self.start = self.length = 0

    def __dealloc__(self):
        free(self.bases)

    @staticmethod
    def of_block(block, pos, l_seq, cigars):
        """The reference that the records of a block make. ``pos``, ``l_seq``: array('i'); ``cigars``: their Cigars."""
        cdef Reference reference = Reference()
        reference.open(pos, l_seq, cigars)
        reference.fill(block, pos, l_seq, cigars)
        return reference

    @staticmethod
    def of_streams(streams, pos, l_seq, cigars):
        """The reference that `streams` hold. Raises FormatError where they do not fit the reads."""
        cdef Reference reference = Reference()
        reference.open(pos, l_seq, cigars)
        reference.read(streams)
        return reference

    def to_streams(self):
        """Name → bytes-like."""
        return self.streams()

    cdef bint spans(self, int64_t pos, int64_t length) noexcept nogil:
        """Is [pos, pos + length) within the window?"""
        return pos >= self.start and pos + length <= self.start + self.length

    cdef int open(self, pos_, l_seq_, cigars) except -1:
        """Make the window, all covered positions UNKNOWN."""
        cdef const int32_t[::1] pos = pos_, l_seq = l_seq_
        cdef const int32_t[::1] query_length = cigars.query_length, reference_length = cigars.reference_length
        cdef const uint32_t[::1] first = cigars.start, count = cigars.count, pool = cigars.pool
        cdef int64_t low = 1LL << 40, high = 0, at, length
        cdef Py_ssize_t n = pos.shape[0], i
        cdef uint32_t k, operation
        with nogil:
            for i in range(n):
                if is_aligned(pos[i], l_seq[i], query_length[i]):
                    low, high = min(low, <int64_t> pos[i]), max(high, <int64_t> pos[i] + reference_length[i])
        self.start = min(low, high)
        self.length = min(high - self.start, <int64_t> MAX_LENGTH)
        self.bases = <uint8_t *> calloc(self.length + PADDING, 1)
        if self.bases == NULL:
            raise MemoryError("no memory for the reference of a row group")
        with nogil:
            for i in range(n):
                if not is_aligned(pos[i], l_seq[i], query_length[i]):
                    continue
                at = pos[i] - self.start
                for k in range(count[i]):
                    operation = pool[first[i] + k]
                    length = operation >> 4
                    if at >= self.length:
                        break
                    if ((MATCHES >> (operation & 15)) & 1) or operation & 15 == DELETION:
                        memset(self.bases + at, UNKNOWN, min(length, self.length - at))
                    if (REFERENCE >> (operation & 15)) & 1:
                        at += length
        return 0

    cdef int fill(self, block, pos_, l_seq_, cigars) except -1:
        """Find the bases of the covered positions."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef const int32_t[::1] pos = pos_, l_seq = l_seq_, query_length = cigars.query_length
        cdef const uint32_t[::1] first = cigars.start, count = cigars.count, pool = cigars.pool
        cdef Py_ssize_t n = pos.shape[0], i, voters = 0
        cdef int64_t longest = max(l_seq_) if n else 0
        cdef uint8_t *bases = <uint8_t *> malloc(longest + PADDING)
        cdef uint8_t[::1] votes = bytearray(n + 1)
        cdef const uint8_t *md
        if bases == NULL:
            raise MemoryError("no memory for the longest read of a row group")
        with nogil:
            for i in range(n):
                if not is_aligned(pos[i], l_seq[i], query_length[i]):
                    continue
                expand(record_seq(&data[offsets[i]]), l_seq[i], bases)
                md = find_md(&data[offsets[i]])
                if md == NULL:
                    votes[i] = 1
                    voters += 1
                fill_from(self, pos[i] - self.start, &pool[first[i]], count[i], bases, md)
        free(bases)
        if voters:
            self.vote(block, pos_, l_seq_, cigars, votes)
        return 0

    cdef int vote(self, block, pos_, l_seq_, cigars, const uint8_t[::1] votes) except -1:
        """Where most of the reads without MD say another base than the first of them, take theirs."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef const int32_t[::1] pos = pos_, l_seq = l_seq_
        cdef const uint32_t[::1] first = cigars.start, count = cigars.count, pool = cigars.pool
        cdef Py_ssize_t n = pos.shape[0], i
        cdef int64_t longest = max(l_seq_), at, from_base, length, k, depth = 0
        cdef uint8_t *bases = <uint8_t *> malloc(longest + PADDING)
        cdef int32_t *change = <int32_t *> calloc(self.length + 1, sizeof(int32_t))  # of the depth
        cdef uint16_t *against = <uint16_t *> calloc(4 * (self.length + 1), sizeof(uint16_t))
        cdef uint32_t j, operation
        cdef int code
        if bases == NULL or change == NULL or against == NULL:
            free(bases)
            free(change)
            free(against)
            raise MemoryError("no memory for the reference of a row group")
        with nogil:
            for i in range(n):
                if not votes[i]:
                    continue
                expand(record_seq(&data[offsets[i]]), l_seq[i], bases)
                at, from_base = pos[i] - self.start, 0
                for j in range(count[i]):
                    operation = pool[first[i] + j]
                    length = operation >> 4
                    if at >= self.length:
                        break
                    if (MATCHES >> (operation & 15)) & 1:
                        length = min(length, self.length - at)
                        change[at] += 1
                        change[at + length] -= 1
                        k = first_difference(self.bases + at, bases + from_base, 0, length)
                        while k < length:
                            code = two_bits(bases[from_base + k])
                            if code < 4 and against[4 * (at + k) + code] < 65535:
                                against[4 * (at + k) + code] += 1
                            k = first_difference(self.bases + at, bases + from_base, k + 1, length)
                        length = operation >> 4
                    if (REFERENCE >> (operation & 15)) & 1:
                        at += length
                    if (QUERY >> (operation & 15)) & 1:
                        from_base += length
            for at in range(self.length):
                depth += change[at]
                for code in range(4):
                    if 2 * <int64_t> against[4 * at + code] > depth:
                        self.bases[at] = from_two_bits(<uint8_t> code)
        free(bases)
        free(change)
        free(against)
        return 0

    cdef dict streams(self):
        cdef BaseWriter writer = BaseWriter()
        cdef int64_t i
        with nogil:
            for i in range(self.length):
                if self.bases[i] == UNKNOWN:
                    self.bases[i] = ADENINE
                if self.bases[i]:
                    writer.put(self.bases[i])
        return writer.streams("reference")

    cdef int read(self, streams) except -1:
        cdef BaseReader reader = BaseReader(streams, "reference")
        cdef int64_t i
        cdef bint whole = True
        with nogil:
            for i in range(self.length):
                if self.bases[i] and not (reader.get(&self.bases[i]) and self.bases[i]):
                    whole = False
                    break
        if not whole or not reader.ended():
            raise FormatError("stream 'reference' does not fit the row group's reads")
        return 0


cdef void fill_from(
    Reference reference, int64_t at, const uint32_t *cigar, uint32_t count, const uint8_t *bases, const uint8_t *md
) noexcept nogil:
    """Put what a read says into the reference: with MD all that it covers, without what nobody has said before."""
    cdef int64_t same = 0, length, k, step
    cdef uint32_t j, operation
    cdef uint8_t *window = reference.bases
    if md != NULL:
        md = number(md, &same)
    for j in range(count):
        operation = cigar[j] & 15
        length = cigar[j] >> 4
        if at + length > reference.length and (REFERENCE >> operation) & 1:
            return
        if (MATCHES >> operation) & 1:
            k = 0
            if md == NULL:
                for k in range(length):
                    if window[at + k] == UNKNOWN and two_bits(bases[k]) < 4:
                        window[at + k] = bases[k]
            while md != NULL and k < length:
                if same:
                    step = min(same, length - k)
                    copy_told(window + at + k, bases + k, step)
                    k += step
                    same -= step
                elif md[0] > 64:
                    window[at + k] = told(md[0])
                    k += 1
                    md = number(md + 1, &same)
                else:
                    return  # not the MD of this CIGAR
        elif operation == DELETION and md != NULL:
            if same or md[0] != b"^":
                return
            md += 1
            for k in range(length):
                if md[0] < 65:
                    return
                window[at + k] = told(md[0])
                md += 1
            md = number(md, &same)
        if (REFERENCE >> operation) & 1:
            at += length
        if (QUERY >> operation) & 1:
            bases += length


cdef inline uint8_t told(uint8_t letter) noexcept nogil:
    """The base of a letter of MD; never 0, which is for positions that are not covered."""
    cdef uint8_t base = BASE_OF[letter]
    return base if base else UNTOLD


cdef inline void copy_told(uint8_t *window, const uint8_t *bases, int64_t length) noexcept nogil:
    cdef int64_t k
    cdef uint8_t any_equal = 0
    for k in range(length):
        any_equal |= bases[k] == 0
    if not any_equal:
        memcpy(window, bases, length)
