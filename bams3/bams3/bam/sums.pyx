"""The sums of `samtools checksum`: CRC-32s of fields of every record, multiplied modulo 2^31 - 1.

A product does not depend on the order of the records, and the product of a whole is the product of those of its parts.
The bases and qualities of a read are converted to text, a portion at a time; its CRC-32 is computed by carry-less
multiplication.
"""

from cpython cimport array
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strcmp

from bams3.bam.fields cimport QCFAIL, REVERSE, load_i32, load_u16, load_u32, next_tag, real_cigar
from bams3.bam.fields cimport (
    record_cigar, record_cigar_count, record_end, record_flag, record_l_seq, record_mapq, record_name,
    record_name_length, record_next_pos, record_next_ref, record_pos, record_qual, record_ref, record_seq, record_tags,
    record_tlen,
)

import array

cdef extern from "bams3/crc32.h" nogil:
    enum:
        CRC_PORTION, CRC_BEFORE, CRC_ROOM
    void crc_init()
    bint crc_use_folding(bint wanted)
    uint32_t crc_byte(uint32_t crc, uint8_t byte)
    uint32_t crc_bytes(uint32_t crc, const uint8_t *p, size_t size)
    uint32_t crc_after_text(uint32_t crc, const uint8_t *text, size_t size)
    void crc_after_texts(uint32_t *crc, const uint8_t *text, size_t size, size_t *size_before, uint32_t *power)
    void crc_bases(const uint8_t *packed, size_t count, bint turned, uint8_t *text)
    void crc_qualities(const uint8_t *qual, size_t count, bint turned, uint8_t *text)

crc_init()

cdef enum:
    MODULUS = 0x7FFFFFFF
    FIRST_LETTER = 48  # "0"; names of tags consist of characters from "0" …
    LETTERS = 75       # … to "z"
    KNOWN = 64         # number of read groups that can be found without Python's lock

# The sums for each read group, of records that passed QC and again of those that failed.
cdef enum:
    COUNT, SEQ, NAME, QUAL, AUX, POS, CIGAR, MATE
    CELLS

FIELDS = CELLS


cdef struct LastText:  # see `crc_after_texts`
    size_t size
    uint32_t power


cdef inline void bases_after(
    uint32_t *crc, const uint8_t *packed, int64_t count, bint turned, LastText *last
) noexcept nogil:
    """Update two CRCs with the letters of packed bases; if `turned`, with those of the reverse complement."""
    cdef uint8_t[CRC_ROOM] room
    cdef uint8_t *text = room + CRC_BEFORE
    cdef int64_t done = 0, at, size
    while done < count:
        size = portion_of(count, done, turned, &at)
        crc_bases(packed + at // 2, size, turned, text)
        crc_after_texts(crc, text, size, &last.size, &last.power)
        done += size


cdef inline uint32_t qualities_after(uint32_t crc, const uint8_t *qual, int64_t count, bint turned) noexcept nogil:
    """The CRC after qualities as in SAM; if `turned`, in reverse order."""
    cdef uint8_t[CRC_ROOM] room
    cdef uint8_t *text = room + CRC_BEFORE
    cdef int64_t done = 0, at, size
    while done < count:
        size = portion_of(count, done, turned, &at)
        crc_qualities(qual + at, size, turned, text)
        crc = crc_after_text(crc, text, size)
        done += size
    return crc


cdef inline int64_t portion_of(int64_t count, int64_t done, bint turned, int64_t *at) noexcept nogil:
    """The size of the next portion of a read with `count` bases, of which `done` are done; `at` is set to its start.
    Portions begin at multiples of CRC_PORTION."""
    at[0] = (count - done - 1) // CRC_PORTION * CRC_PORTION if turned else done
    return count - done - at[0] if turned else min(<int64_t> CRC_PORTION, count - done)


cdef inline void multiply(uint64_t *product, uint32_t crc) noexcept nogil:
    """Multiply by a CRC. As in samtools, CRCs that are 0 modulo MODULUS count as 1."""
    crc = ~crc & MODULUS
    product[0] = product[0] * (crc if crc != 0 and crc != MODULUS else 1) % MODULUS


cdef class _Summer:
    cdef int excluded, required, mask
    cdef bint turned, placed
    cdef int16_t[LETTERS * LETTERS] place  # 1-based index of each tag among those that are summed; 0: it is not
    cdef Py_ssize_t wanted                 # number of tags that are summed
    cdef array.array found                 # for each of these tags, the address of the record's tag, or 0
    cdef LastText last
    cdef dict groups                       # read group, or None → its number
    cdef array.array cells                 # for each number, CELLS of records that passed QC, and of those that failed
    cdef (const uint8_t *)[KNOWN] known    # some read groups …
    cdef int[KNOWN] number                 # … and their numbers, or -1

    def __cinit__(self, int excluded, int required, int mask, bint turned, tags, bint placed):
        cdef int i
        self.excluded, self.required, self.mask = excluded, required, mask
        self.turned, self.placed = turned, placed
        self.wanted = len(tags)
        self.found = array.array("Q", bytes(8 * len(tags)))
        self.groups = {}
        self.cells = array.array("Q")
        memset(self.place, 0, sizeof(self.place))
        memset(self.number, -1, sizeof(self.number))
        for i, (first, second) in enumerate(tags):
            if not (FIRST_LETTER <= first < FIRST_LETTER + LETTERS and FIRST_LETTER <= second < FIRST_LETTER + LETTERS):
                raise ValueError(f"invalid tag {bytes((first, second))!r}")
            self.place[(first - FIRST_LETTER) * LETTERS + second - FIRST_LETTER] = i + 1

    cdef int add(self, const uint8_t *r) except -1 nogil:
        cdef uint16_t flag = record_flag(r)
        cdef uint8_t flags = <uint8_t> (flag & self.mask)
        cdef int64_t l_seq = record_l_seq(r)
        cdef uint32_t[2] crc
        cdef const uint8_t *group
        cdef const uint8_t *long_cigar = real_cigar(r)
        cdef uint32_t qual, aux
        cdef uint64_t *cell
        cdef bint turned
        if flag & self.excluded or flag & self.required != self.required:
            return 0
        crc[0] = crc_byte(0xFFFFFFFF, flags)
        crc[1] = crc_byte(crc_after_text(0xFFFFFFFF, record_name(r), record_name_length(r)), flags)
        turned = self.turned and flag & REVERSE
        bases_after(crc, record_seq(r), l_seq, turned, &self.last)
        qual = qualities_after(crc[0], record_qual(r), l_seq, turned)
        aux = self.tags_after(crc[0], r, long_cigar, &group)
        cell = self.cells_of(group) + (CELLS if flag & QCFAIL else 0)
        cell[COUNT] += 1
        multiply(cell + SEQ, crc[0])
        multiply(cell + NAME, crc[1])
        multiply(cell + QUAL, qual)
        multiply(cell + AUX, aux)
        if self.placed:
            multiply(cell + POS, position_after(crc[0], r))
            multiply(cell + CIGAR, cigar_after(crc[0], r, long_cigar))
            multiply(cell + MATE, mate_after(crc[0], r))
        return 0

    cdef uint32_t tags_after(
        self, uint32_t crc, const uint8_t *r, const uint8_t *without, const uint8_t **group
    ) noexcept nogil:
        """The CRC after the summed tags, except the tag at `without`. Sets `group` to the read group or NULL."""
        cdef const uint8_t *p = record_tags(r)
        cdef const uint8_t *end = record_end(r)
        cdef uint64_t *found = <uint64_t *> self.found.data.as_ulonglongs
        cdef Py_ssize_t i
        cdef bint any_found = False
        cdef uint8_t a, b
        group[0] = NULL
        while p < end:
            a, b = <uint8_t> (p[0] - FIRST_LETTER), <uint8_t> (p[1] - FIRST_LETTER)
            if p[0] == b"R" and p[1] == b"G" and p[2] == b"Z":
                group[0] = p + 3
            if a < LETTERS and b < LETTERS and self.place[a * LETTERS + b] and p != without:
                found[self.place[a * LETTERS + b] - 1] = <uint64_t> p
                any_found = True
            p = next_tag(p)
        if any_found:
            for i in range(self.wanted):
                if found[i]:
                    crc = tag_after(crc, <const uint8_t *> found[i])
                    found[i] = 0
        return crc

    cdef uint64_t *cells_of(self, const uint8_t *group) except NULL nogil:
        """The cells of a read group (NULL: of records without one). The pointer is valid until the next call."""
        cdef int slot = 0, i
        cdef int64_t length = 0
        if group != NULL:
            while group[length]:
                length += 1
            slot = 1 + (group[length - 1] + length if length else 0) % (KNOWN - 1)
        if self.number[slot] < 0 or (slot and strcmp(<const char *> self.known[slot], <const char *> group)):
            self.look_up(group, length, slot)
        return <uint64_t *> self.cells.data.as_ulonglongs + 2 * CELLS * self.number[slot]

    cdef int look_up(self, const uint8_t *group, int64_t length, int slot) except -1 with gil:
        """Put a read group, which may be new, into a slot of the known ones."""
        name = None if group == NULL else <bytes> (<const char *> group)[:length]
        number = self.groups.setdefault(name, len(self.groups))
        if 2 * <int> CELLS * number == len(self.cells):
            self.cells.extend(([0] + [1] * (<int> CELLS - 1)) * 2)
        self.known[slot] = group
        self.number[slot] = number
        return 0


cdef inline uint32_t tag_after(uint32_t crc, const uint8_t *tag) noexcept nogil:
    """The CRC after a tag. An integer counts as the shortest type that can hold it, unsigned if it is not negative."""
    cdef uint8_t kind = tag[2]
    cdef uint8_t[7] short
    cdef int64_t value
    if kind == b"C":
        value = tag[3]
    elif kind == b"c":
        value = <signed char> tag[3]
    elif kind == b"S":
        value = load_u16(tag + 3)
    elif kind == b"s":
        value = <int16_t> load_u16(tag + 3)
    elif kind == b"I":
        value = load_u32(tag + 3)
    elif kind == b"i":
        value = load_i32(tag + 3)
    else:
        return crc_bytes(crc, tag, next_tag(tag) - tag)
    memcpy(short, tag, 2)
    memcpy(short + 3, &value, 4)
    if -128 <= value < 256:
        short[2] = b"C" if value >= 0 else b"c"
        return crc_bytes(crc, short, 4)
    if -32768 <= value < 65536:
        short[2] = b"S" if value >= 0 else b"s"
        return crc_bytes(crc, short, 5)
    short[2] = b"I" if value >= 0 else b"i"
    return crc_bytes(crc, short, 7)


cdef inline uint32_t number_after(uint32_t crc, int64_t value, int size) noexcept nogil:
    return crc_bytes(crc, <const uint8_t *> &value, size)


cdef inline uint32_t position_after(uint32_t crc, const uint8_t *r) noexcept nogil:
    return number_after(number_after(crc, record_ref(r), 4), record_pos(r), 8)


cdef inline uint32_t mate_after(uint32_t crc, const uint8_t *r) noexcept nogil:
    crc = number_after(number_after(crc, record_next_ref(r), 4), record_next_pos(r), 8)
    return number_after(crc, record_tlen(r), 8)


cdef inline uint32_t cigar_after(uint32_t crc, const uint8_t *r, const uint8_t *long_cigar) noexcept nogil:
    crc = number_after(crc, record_mapq(r), 4)
    if long_cigar != NULL:
        return crc_bytes(crc, long_cigar + 8, 4 * <int64_t> load_u32(long_cigar + 4))
    return crc_bytes(crc, record_cigar(r), 4 * <int64_t> record_cigar_count(r))


def first_odd_tag(block, int excluded, int required):
    """The first record of a RecordBlock at which samtools checksum would hang: it is summed, and one of its tags has a
    name with a character that is not from "0" to "z". Returns (number in the block, QNAME, name of the tag), or None.
    ``excluded`` and ``required`` are as in `sums_of`."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t i
    cdef const uint8_t *r
    cdef const uint8_t *p = NULL
    cdef uint16_t flag
    with nogil:
        for i in range(offsets.shape[0] - 1):
            r = &data[offsets[i]]
            flag = record_flag(r)
            if not flag & excluded and flag & required == required:
                p = odd_tag(r)
                if p != NULL:
                    break
    if p == NULL:
        return None
    return i, (<const char *> record_name(r))[:record_name_length(r) - 1], (<const char *> p)[:2]


cdef inline const uint8_t *odd_tag(const uint8_t *r) noexcept nogil:
    cdef const uint8_t *p = record_tags(r)
    cdef const uint8_t *end = record_end(r)
    while p < end:
        if <uint8_t> (p[0] - FIRST_LETTER) >= LETTERS or <uint8_t> (p[1] - FIRST_LETTER) >= LETTERS:
            return p
        p = next_tag(p)
    return NULL


def sums_of(block, int excluded, int required, int mask, bint turned, tags, bint placed):
    """Sum the records of a RecordBlock.

    Parameters
    ----------
    block : RecordBlock
    excluded, required, mask : int
        FLAG bits of which summed records have none; those of which they have all; and those that are part of the sums.
    turned : bool
        Sum reads on the reverse strand as they were sequenced.
    tags : sequence of bytes
        Names of the tags that the checksums include, in this order. Each has two characters from "0" to "z".
    placed : bool
        Also sum positions, CIGARs and mates; otherwise these sums are 1.

    Returns
    -------
    dict
        Read group, or None for records without one → (sums of records that passed QC, sums of those that failed). Each
        is an array("Q") of FIELDS numbers: count, seq, name, qual, aux, pos, cigar, mate.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef _Summer summer = _Summer(excluded, required, mask, turned, tags, placed)
    cdef Py_ssize_t i
    with nogil:
        for i in range(offsets.shape[0] - 1):
            summer.add(&data[offsets[i]])
    rows = [summer.cells[at : at + FIELDS] for at in range(0, len(summer.cells), FIELDS)]
    return {group: (rows[2 * number], rows[2 * number + 1]) for group, number in summer.groups.items()}


def use_folding(bint wanted):
    """Choose whether checksums of bases and qualities use carry-less multiplication if the CPU supports it (the
    default), or tables. The results are the same. Returns whether carry-less multiplication is used now."""
    return crc_use_folding(wanted)
