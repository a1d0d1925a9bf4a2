"""The reference, as far as the reads of a row group reveal it.

Reads are stored as differences from it, so nothing outside the row group is needed. It covers the positions that an
operation M, =, X or D of an *aligned* read consumes (a read whose CIGAR is as long as its SEQ, with POS ≥ 0), within a
window of at most 2^22 positions from the first aligned read's POS to the last end. If reads have the MD tag, the bases
are those of the reference that the reads were aligned to; otherwise, they are those that most reads have. The choice of
bases affects only how many bytes are stored, not what is read back.

The stream ``reference`` has the bases of the covered positions in order (see ``bases``).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from bams3.codec.bases cimport (
    PADDING, BaseReader, BaseWriter, expand, first_difference, longest_of, pack, trailing_zeros, two_bits,
)
from bams3.buffer cimport Buffer
from bams3.codec.votes cimport Votes
from bams3.bam.fields cimport DELETION, MATCHES, QUERY, REFERENCE, find_tag, record_seq

from bams3.errors import FormatError

cdef enum:
    MAX_LENGTH = 1 << 22
    UNKNOWN = 255  # covered, but no read gives the base
    ADENINE = 1
    UNTOLD = 15    # N, for letters in MD that are no bases

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


cdef inline const uint8_t *find_md(const uint8_t *r) noexcept nogil:
    """The text of a record's first MD tag, if its type is Z; otherwise NULL."""
    cdef const uint8_t *tag = find_tag(r, b"M", b"D")
    return tag + 3 if tag != NULL and tag[2] == b"Z" else NULL


cdef inline const uint8_t *number(const uint8_t *p, int64_t *value) noexcept nogil:
    """Read the decimal number at p into ``value`` (0 if there is none); returns the position after it."""
    value[0] = 0
    while 48 <= p[0] <= 57:
        if value[0] < MAX_LENGTH:
            value[0] = 10 * value[0] + p[0] - 48
        p += 1
    return p


cdef class Reference:
    """The bases (4-bit codes) of the positions [``start``, ``start + length``)."""

    def __cinit__(self):
        self.bases = self.packed[0] = self.packed[1] = NULL
        self.start = self.length = 0

    def __dealloc__(self):
        free(self.bases)
        free(self.packed[0])
        free(self.packed[1])

    @staticmethod
    def of_block(block, pos, l_seq, cigars):
        """Make the reference from the records of a block. ``pos``, ``l_seq``: array('i'); ``cigars``: a `Cigars`."""
        cdef Reference reference = Reference()
        reference.open(pos, l_seq, cigars)
        reference.fill(block, pos, l_seq, cigars)
        return reference

    @staticmethod
    def of_streams(streams, pos, l_seq, cigars):
        """Read the reference from `streams`. Raises FormatError if they do not match the reads."""
        cdef Reference reference = Reference()
        reference.open(pos, l_seq, cigars)
        reference.read(streams)
        return reference

    cdef bint covers(self, int64_t pos, int64_t length) noexcept nogil:
        """Whether [pos, pos + length) is within the window."""
        return pos >= self.start and pos + length <= self.start + self.length

    cdef int64_t next_covered(self, int64_t at) noexcept nogil:
        """The first covered position of the window from ``at`` on; `length` or more if there is none."""
        cdef uint64_t eight
        while at < self.length and not self.bases[at]:
            memcpy(&eight, self.bases + at, 8)
            at += trailing_zeros(eight) >> 3 if eight else 8
        return at

    cdef int open(self, pos_, l_seq_, cigars) except -1:
        """Allocate the window, with all covered positions UNKNOWN."""
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
            raise MemoryError("not enough memory for the reference of a row group")
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
        """Find the bases of the covered positions: those of the first read that gives one, unless most reads differ."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef const int32_t[::1] pos = pos_, l_seq = l_seq_, query_length = cigars.query_length
        cdef const uint32_t[::1] first = cigars.start, count = cigars.count, pool = cigars.pool
        cdef Py_ssize_t n = pos.shape[0], i
        cdef Teller teller = Teller(n, longest_of(l_seq), self.length)
        cdef Votes votes
        cdef int64_t with_md = 0, without_md = 0
        cdef bint by_md
        with nogil:
            for i in range(n):
                teller.md[i] = NULL
                if is_aligned(pos[i], l_seq[i], query_length[i]):
                    teller.md[i] = find_md(&data[offsets[i]])
                    with_md += teller.md[i] != NULL
                    without_md += teller.md[i] == NULL
            by_md = with_md > 0
            for i in range(n):
                if is_aligned(pos[i], l_seq[i], query_length[i]) and (teller.md[i] != NULL) == by_md:
                    teller.tell(self, pos[i], &pool[first[i]], count[i], record_seq(&data[offsets[i]]), l_seq[i], i)
                    teller.merge(self, pos[i], &pool[first[i]], count[i], by_md, True)
        if teller.against.size:
            votes = Votes(self.length, teller.against)
            with nogil:
                for i in range(n):
                    if is_aligned(pos[i], l_seq[i], query_length[i]) and (teller.md[i] != NULL) == by_md:
                        votes.cover(pos[i] - self.start, &pool[first[i]], count[i])
                votes.elect(self.bases)
        with nogil:
            for i in range(n if by_md and without_md else 0):
                if is_aligned(pos[i], l_seq[i], query_length[i]) and teller.md[i] == NULL:
                    teller.tell(self, pos[i], &pool[first[i]], count[i], record_seq(&data[offsets[i]]), l_seq[i], i)
                    teller.merge(self, pos[i], &pool[first[i]], count[i], False, False)
        return 0

    def to_streams(self):
        """The streams: name → bytes-like."""
        cdef BaseWriter writer = BaseWriter()
        cdef int64_t i = 0
        with nogil:
            while i < self.length:
                if not self.bases[i]:
                    i = self.next_covered(i)
                    continue
                if self.bases[i] == UNKNOWN:
                    self.bases[i] = ADENINE
                writer.put(self.bases[i])
                i += 1
        return writer.streams("reference")

    cdef int read(self, streams) except -1:
        cdef BaseReader reader = BaseReader(streams, "reference")
        cdef int64_t i = 0
        cdef bint whole = True
        with nogil:
            while i < self.length:
                if not self.bases[i]:
                    i = self.next_covered(i)
                    continue
                if not (reader.get(&self.bases[i]) and self.bases[i]):
                    whole = False
                    break
                i += 1
        if not whole or not reader.ended():
            raise FormatError("stream 'reference' does not match the row group's reads")
        return 0

    cdef int pack(self) except -1:
        """Fill ``packed``, from which reads can be copied in BAM encoding, whatever position they begin at."""
        cdef int first
        for first in range(2):
            if self.packed[first] == NULL:
                self.packed[first] = <uint8_t *> malloc(self.length // 2 + 1)
                if self.packed[first] == NULL:
                    raise MemoryError("not enough memory for the reference of a row group")
            pack(self.bases + first, self.length // 2 * 2 + 2, self.packed[first])
        return 0


cdef class Teller:
    """The reference bases according to one read, at the positions of its operations M, =, X and D, in order."""

    cdef const uint8_t **md  # MD of every record, or NULL
    cdef uint8_t *bases      # of the read
    cdef uint8_t *told       # UNKNOWN where the read gives no base
    cdef Buffer against      # where reads differ from the reference; see `Votes`

    def __cinit__(self, Py_ssize_t records, int64_t longest, int64_t length):
        """`longest`: length of the longest read; `length`: number of positions in the window."""
        self.md = <const uint8_t **> malloc((records + 1) * sizeof(uint8_t *))
        self.bases = <uint8_t *> malloc(longest + PADDING)
        self.told = <uint8_t *> malloc(longest + length + PADDING)
        self.against = Buffer(width=4)
        if self.md == NULL or self.bases == NULL or self.told == NULL:
            raise MemoryError("not enough memory for the longest read of a row group")

    def __dealloc__(self):
        free(self.md)
        free(self.bases)
        free(self.told)

    cdef void tell(
        self, Reference reference, int64_t pos, const uint32_t *cigar, uint32_t count, const uint8_t *seq,
        int64_t l_seq, Py_ssize_t record
    ) noexcept nogil:
        """Fill ``told`` from the record's MD or, if there is no MD, from its bases."""
        cdef const uint8_t *md = self.md[record]
        cdef const uint8_t *bases = self.bases
        cdef uint8_t *out = self.told
        cdef int64_t same = 1LL << 40, at = pos - reference.start, length, step
        cdef uint32_t j, operation
        expand(seq, l_seq, self.bases)
        if md != NULL:
            md = number(md, &same)
        for j in range(count):
            operation = cigar[j] & 15
            length = cigar[j] >> 4
            if at >= reference.length:
                return
            if (MATCHES >> operation) & 1:
                at += length
                while length:
                    step = min(same, length)
                    if step:
                        memcpy(out, bases, step)
                        same -= step
                    elif md[0] > 64:
                        step = 1
                        out[0] = told_base(md[0])
                        md = number(md + 1, &same)
                    else:  # MD does not match the CIGAR here
                        step = length
                        memset(out, UNKNOWN, step)
                    out += step
                    bases += step
                    length -= step
            elif operation == DELETION:
                length = min(length, reference.length - at)
                at += cigar[j] >> 4
                if md != NULL and same == 0 and md[0] == b"^":
                    md += 1
                    while length and md[0] > 64:
                        out[0] = told_base(md[0])
                        out += 1
                        md += 1
                        length -= 1
                    md = number(md, &same)
                memset(out, UNKNOWN, length)
                out += length
            else:
                if (REFERENCE >> operation) & 1:
                    at += length
                if (QUERY >> operation) & 1:
                    bases += length

    cdef int merge(
        self, Reference reference, int64_t pos, const uint32_t *cigar, uint32_t count, bint by_md, bint noting
    ) except -1 nogil:
        """Fill in bases that the reference does not have yet; if ``noting``, add the bases that differ from it to
        ``against``."""
        cdef const uint8_t *told = self.told
        cdef int64_t at = pos - reference.start, length, inside, k
        cdef uint32_t j, operation
        cdef uint8_t *window
        cdef uint8_t code
        for j in range(count):
            operation = cigar[j] & 15
            length = cigar[j] >> 4
            if at >= reference.length:
                break
            if ((MATCHES >> operation) & 1) or operation == DELETION:
                window = reference.bases + at
                inside = min(length, reference.length - at)
                k = first_difference(window, told, 0, inside)
                while k < inside:
                    if window[k] != UNKNOWN:
                        code = two_bits(told[k])
                        if noting and told[k] != UNKNOWN and code < 4:
                            self.against.put_u32(<uint32_t> (at + k) << 2 | code)
                        k += 1
                    while k < inside and window[k] == UNKNOWN and told[k] != UNKNOWN:  # usually up to the end
                        if told[k] and (by_md or two_bits(told[k]) < 4):
                            window[k] = told[k]
                        k += 1
                    k = first_difference(window, told, k, inside)
                told += inside if operation == DELETION else length
            if (REFERENCE >> operation) & 1:
                at += length
        return 0


cdef inline uint8_t told_base(uint8_t letter) noexcept nogil:
    """The base of a letter in MD; never 0, which marks positions that are not covered."""
    cdef uint8_t base = BASE_OF[letter]
    return base if base else UNTOLD
