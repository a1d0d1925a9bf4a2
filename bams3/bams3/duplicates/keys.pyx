"""The keys by which `samtools markdup` compares reads: the unclipped ends of a read and its mate, and their strands."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport strcmp, strlen

from bams3.bam.fields cimport (
    MREVERSE, MUNMAP, PAIRED, QCFAIL, READ1, REFERENCE, REVERSE, SECONDARY, SUPPLEMENTARY, UNMAP, find_tag, load_u32,
    look_ahead, real_cigar, record_cigar, record_cigar_count, record_flag, record_name, record_next_pos,
    record_next_ref, record_pos, record_ref,
)
from bams3.duplicates.regex cimport PosixPattern, regexec, regmatch_t

from bams3.errors import SourceError, UsageError


# Pairs of strands, and whether the read is the left one of its pair.
cdef enum:
    FF, RR, FR, RF
    LEFT = 4

cdef enum Fault:
    NONE, NO_MATE_CIGAR, NOT_TEXT, NOT_A_CIGAR

MESSAGES = {
    NO_MATE_CIGAR: "has no tag MC; use bams3 convert --sort --fixmate, or run samtools fixmate -m first",
    NOT_TEXT: "has a tag MC that is not text; use bams3 convert --sort --fixmate, or run samtools fixmate -m first",
    NOT_A_CIGAR: "has a tag MC that is not a CIGAR; use bams3 convert --sort --fixmate, or run samtools fixmate -m first",
}

cdef enum:
    HARD_OR_SOFT_CLIP = 0b110000


cdef inline bint is_clip(uint32_t operation) noexcept nogil:
    return HARD_OR_SOFT_CLIP >> (operation & 15) & 1


cdef void unclipped(const uint8_t *record, int64_t *first, int64_t *last) noexcept nogil:
    """Get the positions of the first and the last base of a mapped read, as if it had no clips."""
    cdef const uint8_t *operations = record_cigar(record)
    cdef const uint8_t *cg = real_cigar(record)
    cdef int64_t k, count = record_cigar_count(record), reference = 0
    cdef uint32_t operation
    if cg != NULL:
        operations, count = cg + 8, load_u32(cg + 4)
    first[0] = record_pos(record)
    for k in range(count):
        operation = load_u32(operations + 4 * k)
        if not is_clip(operation):
            break
        first[0] -= operation >> 4
    for k in range(count):
        operation = load_u32(operations + 4 * k)
        if REFERENCE >> (operation & 15) & 1:
            reference += operation >> 4
    last[0] = record_pos(record) + (reference if reference else 1) - 1
    for k in range(count - 1, -1, -1):
        operation = load_u32(operations + 4 * k)
        if not is_clip(operation):
            break
        last[0] += operation >> 4


cdef bint unclipped_mate(const uint8_t *text, int64_t pos, int64_t *first, int64_t *last) noexcept nogil:
    """Do the same for the mate, from its position and the text of its CIGAR; return False if that ends in a number.

    As in samtools, an operation without a number has length 1, unknown operations are skipped, and a CIGAR without
    operations consumes no base.
    """
    cdef int64_t number, before = 0, after = 0, reference = 0
    cdef bint leading = True, consumed = False
    while text[0] and text[0] != c"*":
        number = 1
        if c"0" <= text[0] <= c"9":
            number = 0
            while c"0" <= text[0] <= c"9":
                number = min(number * 10 + text[0] - c"0", <int64_t> 1 << 32)  # more than any CIGAR has
                text += 1
        if text[0] == c"S" or text[0] == c"H":
            if leading:
                before += number
            if consumed:
                after += number
        else:
            leading = False
        if text[0] == c"M" or text[0] == c"D" or text[0] == c"N" or text[0] == c"=" or text[0] == c"X":
            reference += number
            consumed = True
        if text[0] == 0:
            return False
        text += 1
    first[0] = pos - before
    last[0] = pos + reference + after - 1
    return True


cdef uint32_t hashed(const uint8_t *text, Py_ssize_t size) noexcept nogil:
    """Return Bob Jenkins' one-at-a-time hash."""
    cdef uint32_t value = 0
    cdef Py_ssize_t i
    for i in range(size):
        value += text[i]
        value += value << 10
        value ^= value >> 6
    value += value << 3
    value ^= value >> 11
    return value + (value << 15)


cdef inline bint has_mate(const uint8_t *record) noexcept nogil:
    cdef uint16_t flag = record_flag(record)
    if not flag & PAIRED or flag & MUNMAP:
        return False
    return record_next_ref(record) != -1 or record_next_pos(record) != -1


cdef inline int strands(bint reverse, bint mate_reverse) noexcept nogil:
    if reverse == mate_reverse:
        return RR if reverse else FF
    return RF if reverse else FR


cdef void by_template(
    Key *key, uint16_t flag, int64_t first, int64_t last, int64_t mate_first, int64_t mate_last
) noexcept nogil:
    """Make the key of mode t: the ends of the template, so that both mates get the same orientation."""
    cdef bint reverse = flag & REVERSE != 0, mate_reverse = flag & MREVERSE != 0, left
    cdef int sides = strands(reverse, mate_reverse)
    if key.ref != key.other_ref:
        left = key.ref < key.other_ref
    elif sides == FF:
        left = first <= mate_first
    elif sides == RR:
        left = last <= mate_last
    elif reverse:
        left = last <= mate_first
    else:
        left = first <= mate_last
    key.this_end, key.other_end = first, mate_first
    if sides == FF or sides == RR:
        if left:
            key.other_end = mate_last
        else:
            key.this_end = last
        # The template runs from read 1 to read 2.
        sides = FF if (not reverse) == ((flag & READ1 != 0) == left) else RR
    else:
        if reverse:
            key.this_end = last
        else:
            key.other_end = mate_last
        if not left:
            sides = FR if reverse else RF
    key.sides = <uint8_t> (sides | (LEFT if left else 0))


cdef void by_sequence(
    Key *key, uint16_t flag, int32_t pos, int32_t mate_pos, int64_t first, int64_t last, int64_t mate_first,
    int64_t mate_last,
) noexcept nogil:
    """Make the key of mode s: the positions where the sequences of both reads begin."""
    cdef bint reverse = flag & REVERSE != 0, mate_reverse = flag & MREVERSE != 0, left
    key.this_end = last if reverse else first
    key.other_end = mate_last if mate_reverse else mate_first
    if key.ref != key.other_ref:
        left = key.ref < key.other_ref
    elif key.this_end != key.other_end:
        left = key.this_end < key.other_end
    elif pos != mate_pos:
        left = pos < mate_pos
    else:
        left = flag & READ1 != 0
    key.sides = <uint8_t> (strands(reverse, mate_reverse) | LEFT if left else strands(mate_reverse, reverse))


cdef class Keys:
    """The keys of the records of a block, in order. `unreadable`: number of reads whose barcode could not be read."""

    def __cinit__(self, Py_ssize_t count):
        self.of = <Key *> calloc(count + 1, sizeof(Key))
        if self.of == NULL:
            raise MemoryError(f"not enough memory for the keys of {count} reads")
        self.count = count
        self.unreadable = 0

    def __dealloc__(self):
        free(self.of)

    def __len__(self):
        return self.count


cdef class KeyMaker:
    """Makes keys. Thread-safe.

    Parameters
    ----------
    mode
        "t": by the ends of templates; "s": by the positions where sequences begin.
    include_fails
        Whether reads that failed QC are compared, too.
    barcode_tag
        Name of a tag that must have the same value in duplicates.
    barcode_pattern
        Instead of the tag: a POSIX extended regular expression, whose first group is the barcode in the read name.
    read_groups
        IDs of read groups. If given, duplicates must be of the same one.

    Raises
    ------
    UsageError
        If the pattern is not a regular expression, or the tag has no valid name.
    """

    cdef bint sequence
    cdef uint16_t excluded
    cdef uint8_t[3] tag
    cdef PosixPattern pattern
    cdef list ids
    cdef const char **groups
    cdef Py_ssize_t group_count

    def __cinit__(
        self, str mode="t", *, bint include_fails=False, bytes barcode_tag=b"", bytes barcode_pattern=b"",
        read_groups=(),
    ):
        self.sequence = mode == "s"
        self.excluded = SECONDARY | SUPPLEMENTARY | UNMAP | (0 if include_fails else QCFAIL)
        if barcode_tag:
            if len(barcode_tag) != 2:
                raise UsageError(f"{barcode_tag.decode('utf-8', 'backslashreplace')!r} is not the name of a tag")
            self.tag[0], self.tag[1] = barcode_tag[0], barcode_tag[1]
        self.ids = list(read_groups)
        self.group_count = len(self.ids)
        self.groups = <const char **> calloc(self.group_count + 1, sizeof(char *))
        if self.groups == NULL:
            raise MemoryError
        for i in range(self.group_count):
            self.groups[i] = <const char *> self.ids[i]
        self.pattern = PosixPattern(barcode_pattern)

    def __dealloc__(self):
        free(self.groups)

    def keys(self, block):
        """Return the keys of a block's records. Raises SourceError if a paired read has no valid tag MC."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t i, count = len(block)
        cdef Keys keys = Keys(count)
        cdef Fault fault = NONE
        if count:
            with nogil:
                for i in range(count):
                    look_ahead(&data[0], &offsets[0], i, count)
                    fault = self.make(&data[offsets[i]], &keys.of[i], &keys.unreadable)
                    if fault != NONE:
                        break
        if fault != NONE:
            name = (<const char *> record_name(&data[offsets[i]])).decode("ascii", "backslashreplace")
            raise SourceError(f"read {name} {MESSAGES[fault]}")
        return keys

    cdef Fault make(self, const uint8_t *record, Key *key, int64_t *unreadable) noexcept nogil:
        cdef uint16_t flag = record_flag(record)
        cdef int64_t first, last, mate_first, mate_last
        cdef const uint8_t *mate_cigar
        key.ref, key.pos = record_ref(record), record_pos(record)
        if self.group_count:
            key.read_group = self.group_of(record)
        if flag & self.excluded:
            return NONE
        unclipped(record, &first, &last)
        key.kind = SINGLE
        key.strand = flag & REVERSE != 0
        key.five_prime = last if key.strand else first
        if self.tag[0] or self.pattern.given:
            key.barcode = self.barcode_of(record, unreadable)
        if not has_mate(record):
            return NONE
        mate_cigar = find_tag(record, c"M", c"C")
        if mate_cigar == NULL:
            return NO_MATE_CIGAR
        if mate_cigar[2] != c"Z" and mate_cigar[2] != c"H":
            return NOT_TEXT
        if not unclipped_mate(mate_cigar + 3, record_next_pos(record), &mate_first, &mate_last):
            return NOT_A_CIGAR
        key.kind = PAIR
        key.other_ref = record_next_ref(record)
        if self.sequence:
            by_sequence(
                key, flag, record_pos(record), record_next_pos(record), first, last, mate_first, mate_last
            )
        else:
            by_template(key, flag, first, last, mate_first, mate_last)
        return NONE

    cdef int32_t group_of(self, const uint8_t *record) noexcept nogil:
        """Return the number of the record's read group, from 1, or 0 if it has none of the groups."""
        cdef const uint8_t *tag = find_tag(record, c"R", c"G")
        cdef Py_ssize_t i
        if tag != NULL and (tag[2] == c"Z" or tag[2] == c"H"):
            for i in range(self.group_count):
                if strcmp(self.groups[i], <const char *> tag + 3) == 0:
                    return <int32_t> i + 1
        return 0

    cdef uint32_t barcode_of(self, const uint8_t *record, int64_t *unreadable) noexcept nogil:
        cdef const uint8_t *text = record_name(record)
        cdef regmatch_t[2] found
        if self.pattern.given:
            if regexec(&self.pattern.compiled, <const char *> text, 2, found, 0) == 0 and found[1].rm_so != -1:
                return hashed(text + found[1].rm_so, found[1].rm_eo - found[1].rm_so)
            unreadable[0] += 1
            return 0
        text = find_tag(record, self.tag[0], self.tag[1])
        if text == NULL:
            return 0
        if text[2] == c"Z" or text[2] == c"H":
            return hashed(text + 3, strlen(<const char *> text + 3))
        unreadable[0] += 1
        return 0
