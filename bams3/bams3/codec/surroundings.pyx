"""The surroundings of each base of a read: bases, homopolymers and alignment, for models of qualities and the like.

Encoder and decoder compute them from the same columns, which are decoded before the qualities (docs/format.md,
"Surroundings").
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from bams3.bam.fields cimport DELETION, INSERTION, MATCHES, QUERY, REFERENCE, record_seq
from bams3.codec.bases cimport PADDING, expand, first_difference, longest_of, two_bits
from bams3.codec.reference cimport Reference, is_aligned

cdef array.array INT64 = new_array("q")

cdef enum:
    MARGIN = 2       # places before the first base and after the last one that are looked at
    MATCHING = 0     # how a base is aligned
    MISMATCHING = 1
    INSERTED = 2
    UNALIGNED = 3
    BY_DELETION = 4  # added to one of these: the base is next to a deletion
    LONGEST_RUN = 7


cdef inline uint32_t longer(uint32_t run, bint same) noexcept nogil:
    """The length of a run after one more base. (Bases are unpredictable, so no branch depends on them.)"""
    return (run + (run < LONGEST_RUN)) & -<uint32_t> same


cdef class Surroundings:
    """The surroundings of the bases of a row group's reads, one read at a time."""

    def __cinit__(self):
        self.bases = self.codes = self.kinds = NULL
        self.around = NULL

    def __dealloc__(self):
        free(self.bases)
        free(self.codes)
        free(self.kinds)
        free(self.around)

    @staticmethod
    def of_block(block, pos, l_seq, cigars, Reference reference not None):
        """The surroundings in the records of a block. ``pos`` and ``l_seq`` are array('i'); all arguments are those of
        the block."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Surroundings self = Surroundings()
        cdef array.array starts = array.clone(INT64, len(pos), False)
        cdef int64_t[::1] out = starts
        cdef Py_ssize_t i
        for i in range(out.shape[0]):
            out[i] = record_seq(&data[offsets[i]]) - &data[0]
        self.held = data
        self.packed = &data[0] if data.shape[0] else NULL
        self.starts = starts
        self.reference = reference
        self.open(pos, l_seq, cigars)
        return self

    @staticmethod
    def of_columns(const uint8_t[::1] seq, starts, pos, l_seq, cigars, Reference reference not None):
        """The surroundings in decoded columns. ``seq`` has the SEQs in BAM encoding; ``starts``, array('q'), is where
        each of them begins."""
        cdef Surroundings self = Surroundings()
        self.held = seq
        self.packed = &seq[0] if seq.shape[0] else NULL
        self.starts = starts
        self.reference = reference
        self.open(pos, l_seq, cigars)
        return self

    cdef int open(self, pos, l_seq, cigars) except -1:
        cdef int64_t longest
        self.pos, self.l_seq, self.query_length = pos, l_seq, cigars.query_length
        self.first, self.count, self.pool = cigars.start, cigars.count, cigars.pool
        self.longest = longest_of(self.l_seq)
        longest = self.longest + PADDING
        self.bases = <uint8_t *> malloc(longest)
        self.codes = <uint8_t *> malloc(longest + 2 * MARGIN)
        self.kinds = <uint8_t *> malloc(longest + 2 * MARGIN)
        self.around = <Surrounding *> malloc(longest * sizeof(Surrounding))
        if self.bases == NULL or self.codes == NULL or self.kinds == NULL or self.around == NULL:
            raise MemoryError("not enough memory for the longest read of a row group")
        return 0

    cdef const Surrounding *of(self, Py_ssize_t record, bint reverse) noexcept nogil:
        """The surroundings of each base of a read, in the order of SEQ or, if ``reverse``, of its reverse complement.
        The next call overwrites them."""
        cdef int64_t length = self.l_seq[record], i
        cdef uint8_t *code = self.codes + MARGIN
        cdef uint8_t *kind = self.kinds + MARGIN
        cdef uint32_t run = 0, bases
        expand(self.packed + self.starts[record], length, self.bases)
        for i in range(length):
            code[i] = two_bits(self.bases[i]) & 3
        self.align(record)
        if reverse:
            self.turn(length)
        for i in range(1, MARGIN + 1):
            code[-i] = code[length - 1 + i] = 0
            kind[-i] = kind[length - 1 + i] = UNALIGNED
        bases = <uint32_t> code[0] << 2 | code[1]
        for i in range(length):
            bases = (bases << 2 | code[i + 2]) & (PENTAMERS - 1)
            self.around[i].bases = <uint16_t> bases
            run = longer(run, (i > 0) & (code[i] == code[i - 1]))
            self.around[i].run = <uint16_t> (run << 8 | <uint32_t> kind[i] << 2 | code[i])
            self.around[i].alignment = <uint16_t> (
                <uint32_t> kind[i] << 8 | <uint32_t> kind[i - 1] << 5 | <uint32_t> kind[i + 1] << 2
                | (kind[i + 2] != MATCHING) << 1 | (kind[i - 2] != MATCHING)
            )
        run = 0
        for i in range(length - 1, -1, -1):
            run = longer(run, (i + 1 < length) & (code[i] == code[i + 1]))
            self.around[i].run |= <uint16_t> (run << 5)
        return self.around

    cdef void align(self, Py_ssize_t record) noexcept nogil:
        """Find how each base of a read is aligned, in the order of SEQ."""
        cdef uint8_t *kind = self.kinds + MARGIN
        cdef const uint32_t *cigar
        cdef int64_t length = self.l_seq[record], at, k, inside, span, start = 0
        cdef uint32_t j, operation
        memset(kind, UNALIGNED, length)
        if not is_aligned(self.pos[record], length, self.query_length[record]):
            return
        at = self.pos[record] - self.reference.start
        cigar = &self.pool[self.first[record]] if self.count[record] else NULL
        for j in range(self.count[record]):
            operation = cigar[j] & 15
            span = cigar[j] >> 4
            if (MATCHES >> operation) & 1:
                memset(kind + start, MATCHING, span)
                inside = max(min(span, self.reference.length - at), <int64_t> 0)
                k = first_difference(self.reference.bases + at, self.bases + start, 0, inside) if inside else 0
                while k < inside:
                    kind[start + k] = MISMATCHING
                    k = first_difference(self.reference.bases + at, self.bases + start, k + 1, inside)
            elif operation == INSERTION:
                memset(kind + start, INSERTED, span)
            if (REFERENCE >> operation) & 1:
                at += span
            if (QUERY >> operation) & 1:
                start += span
        start = 0
        for j in range(self.count[record]):
            operation = cigar[j] & 15
            if operation == DELETION and 0 < start < length:
                kind[start - 1] |= BY_DELETION
                kind[start] |= BY_DELETION
            if (QUERY >> operation) & 1:
                start += cigar[j] >> 4

    cdef void turn(self, int64_t length) noexcept nogil:
        """Reverse and complement ``codes``, and reverse ``kinds``."""
        cdef uint8_t *code = self.codes + MARGIN
        cdef uint8_t *kind = self.kinds + MARGIN
        cdef int64_t i, j
        cdef uint8_t held
        for i in range((length + 1) // 2):
            j = length - 1 - i
            held = code[i]
            code[i] = code[j] ^ 3
            code[j] = held ^ 3
            if i == j:
                code[i] = held ^ 3
            held = kind[i]
            kind[i] = kind[j]
            kind[j] = held
