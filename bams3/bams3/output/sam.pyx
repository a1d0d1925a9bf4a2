"""SAM text of BAM records, byte for byte what `samtools view` 1.16 prints.

The length of a record's text has a bound that follows from the record's size. So memory is reserved once per record,
and the fields are written through a bare pointer. Reads from the record are checked against its end.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcpy

from bams3.buffer cimport Buffer, copy_short
from bams3.decimal cimport put_unsigned
from bams3.bam.cigar cimport put_cigar
from bams3.bam.fields cimport (
    load_i32, load_u16, load_u32, record_cigar, record_cigar_count, record_end, record_flag, record_l_seq,
    record_mapq, record_name, record_name_length, record_next_pos, record_next_ref, record_pos,
    record_qual, record_ref, record_seq, record_tags, record_tlen, tag_width,
)

from array import array

from bams3.errors import FormatError

cdef extern from "bams3/output/sam_bases.h" nogil:
    void init_bases "sam_init"()
    void put_bases "sam_bases"(uint8_t *out, const uint8_t *seq, size_t length)
    void put_scores "sam_qualities"(uint8_t *out, const uint8_t *qual, size_t length)
    int64_t put_text "sam_text"(uint8_t *out, const uint8_t *text, const uint8_t *end, const uint8_t *readable)

cdef enum:
    TEXT_PER_BYTE = 5   # the worst case is an array of type c, where a byte becomes ",-128"
    FIXED_TEXT = 192    # numbers of the fixed fields, tabs, "*" for missing values, and bytes written past the text
    AROUND_TAG = 0x3A003A000009  # a tab, two bytes for the name, a colon, one for the type, a colon: little-endian
    PADDING = 16        # readable bytes after the names of references

cdef double HALF_FROM[10]   # lower bounds of the decades of a float; HALF: half its sixth digit, in 1e-10
cdef uint64_t HALF[10]


cdef void fill_tables():
    init_bases()
    HALF_FROM[:] = [1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6]
    HALF[:] = [5, 50, 500, 5000, 50000, 500000, 5000000, 50000000, 500000000, 5000000000]


fill_tables()


cdef class ReferenceNames:
    """The names of a header's references, packed for `format_sam`.

    ``names``: in the order of the header, as str (surrogate escapes represent non-UTF-8 bytes).
    """

    cdef bytes packed
    cdef object offsets
    cdef const uint8_t *text
    cdef const int64_t[::1] starts
    cdef Py_ssize_t count

    def __init__(self, names):
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self.packed = b"".join(encoded) + bytes(PADDING)
        self.offsets = array("q", [0])
        end = 0
        for name in encoded:
            end += len(name)
            self.offsets.append(end)
        self.text = self.packed
        self.starts = self.offsets
        self.count = len(encoded)

    def __len__(self):
        return self.count


cdef inline int64_t name_length(ReferenceNames names, int32_t reference) noexcept nogil:
    """Return the length of a reference's name in bytes; 1 (for ``*``) without one; -1 if the header lacks it."""
    if reference == -1:
        return 1
    if reference < 0 or reference >= names.count:
        return -1
    return names.starts[reference + 1] - names.starts[reference]


cdef inline uint8_t *put_byte(uint8_t *out, uint8_t value) noexcept nogil:
    out[0] = value
    return out + 1


cdef inline uint8_t *put_bytes(uint8_t *out, const uint8_t *source, size_t length, const uint8_t *end) noexcept nogil:
    """Write bytes. ``end``: end of the readable bytes. Up to 15 bytes after the written ones may change."""
    copy_short(out, source, length, end - source)
    return out + length


cdef inline uint8_t *put_signed(uint8_t *out, int64_t value) noexcept nogil:
    if value < 0:
        return put_unsigned(put_byte(out, b"-"), <uint64_t> -value)
    return put_unsigned(out, <uint64_t> value)


cdef uint8_t *put_float(uint8_t *out, const uint8_t *source) noexcept nogil:
    """Write a 32-bit float as ``%g``.

    A float times 10^10 is exact in a double, so its sixth digit and the rest follow from integers.
    """
    cdef float value
    cdef double size
    cdef uint64_t scaled, unit
    cdef int decade = 0
    memcpy(&value, source, 4)
    size = -value if value < 0 else value
    if value == 0 or not (0.0001 <= size <= 999999):
        return out + snprintf(<char *> out, 32, b"%g", <double> value)
    while size >= HALF_FROM[decade]:
        decade += 1
    scaled = <uint64_t> (size * 1e10)
    unit = 2 * HALF[decade]
    if scaled % unit == HALF[decade] and <double> scaled == size * 1e10:
        return out + snprintf(<char *> out, 32, b"%g", <double> value)
    if value < 0:
        out = put_byte(out, b"-")
    scaled += HALF[decade]
    return put_decimal(out, scaled - scaled % unit)


cdef inline uint8_t *put_decimal(uint8_t *out, uint64_t scaled) noexcept nogil:
    """Write ``scaled`` / 10^10 without trailing zeros."""
    cdef uint64_t fraction = scaled % 10000000000ULL
    cdef int places = 10
    cdef int i
    out = put_unsigned(out, scaled // 10000000000ULL)
    if fraction == 0:
        return out
    while fraction % 10 == 0:
        fraction = fraction // 10
        places -= 1
    out = put_byte(out, b".")
    for i in range(places - 1, -1, -1):
        out[i] = <uint8_t> (48 + fraction % 10)
        fraction = fraction // 10
    return out + places


cdef inline uint8_t *put_reference(uint8_t *out, ReferenceNames names, int32_t reference) noexcept nogil:
    if reference < 0:
        return put_byte(out, b"*")
    cdef int64_t start = names.starts[reference], length = names.starts[reference + 1] - start
    return put_bytes(out, names.text + start, length, names.text + start + length + PADDING)


cdef uint8_t *put_qualities(uint8_t *out, const uint8_t *qual, size_t length) noexcept nogil:
    if qual[0] == 0xFF:
        return put_byte(out, b"*")
    put_scores(out, qual, length)
    return out + length


cdef inline uint8_t *put_number(uint8_t *out, uint8_t kind, const uint8_t *value) noexcept nogil:
    """Write the value of a tag of type c, C, s, S, i, I or f."""
    if kind == b"C":
        return put_unsigned(out, value[0])
    if kind == b"c":
        return put_signed(out, <int8_t> value[0])
    if kind == b"S":
        return put_unsigned(out, load_u16(value))
    if kind == b"s":
        return put_signed(out, <int16_t> load_u16(value))
    if kind == b"I":
        return put_unsigned(out, load_u32(value))
    if kind == b"i":
        return put_signed(out, load_i32(value))
    return put_float(out, value)


cdef const uint8_t *tag_after(const uint8_t *tag, const uint8_t *end) noexcept nogil:
    """Return the first byte after a tag (id, type, value), or NULL if the tag does not fit before ``end``."""
    cdef const uint8_t *value = tag + 3
    cdef size_t left
    cdef int width
    if end - tag < 4:
        return NULL
    left = end - value
    width = tag_width(tag[2])
    if tag[2] == b"Z" or tag[2] == b"H":
        value = <const uint8_t *> memchr(value, 0, left)
        return value + 1 if value != NULL else NULL
    if tag[2] == b"B":
        width = tag_width(value[0])
        if width == 0 or value[0] == b"A" or left < 5 or (left - 5) // width < load_u32(value + 1):
            return NULL
        return value + 5 + <size_t> load_u32(value + 1) * width
    if width == 0 or <size_t> width > left:
        return NULL
    return value + width


cdef inline uint8_t *put_tag(
    uint8_t *out, const uint8_t **at, const uint8_t *end, const uint8_t *readable
) noexcept nogil:
    """Write the tag at ``at``, with a tab before it, and move ``at`` to its end; return the end of the text.

    Returns NULL if the tag does not fit before ``end``. ``readable``: end of the readable bytes.
    """
    cdef const uint8_t *tag = at[0]
    cdef const uint8_t *value = tag + 3
    cdef const uint8_t *after
    cdef uint8_t kind, shown = b"i"
    cdef uint64_t head
    cdef int64_t length
    cdef int width
    if end - tag < 4:
        return NULL
    kind = tag[2]
    if kind == b"Z" or kind == b"H" or kind == b"A" or kind == b"B" or kind == b"f":
        shown = kind
    head = AROUND_TAG | <uint64_t> load_u16(tag) << 8 | <uint64_t> shown << 32
    memcpy(out, &head, 8)
    out += 6
    if kind == b"Z" or kind == b"H":
        length = put_text(out, value, end, readable)
        at[0] = value + length + 1
        return out + length if length >= 0 else NULL
    after = tag_after(tag, end)
    if after == NULL:
        return NULL
    at[0] = after
    if kind == b"A":
        return put_byte(out, value[0])
    if kind != b"B":
        return put_number(out, kind, value)
    kind = value[0]
    width = tag_width(kind)
    out = put_byte(out, kind)
    value += 5
    while value < after:
        out = put_number(put_byte(out, b","), kind, value)
        value += width
    return out


cdef const uint8_t *long_cigar(const uint8_t *record) noexcept nogil:
    """Return the CG tag that holds the record's real CIGAR, or NULL (htslib's rule, SAM specification 4.2.2)."""
    cdef const uint8_t *tag = record_tags(record)
    cdef const uint8_t *end = record_end(record)
    cdef const uint8_t *after
    cdef uint32_t first, count
    if record_cigar_count(record) == 0 or record_ref(record) < 0 or record_pos(record) < 0:
        return NULL
    first = load_u32(record_cigar(record))
    if first & 15 != 4 or <int64_t> (first >> 4) != record_l_seq(record):
        return NULL
    while tag < end:
        after = tag_after(tag, end)
        if after == NULL:
            return NULL
        if tag[0] == b"C" and tag[1] == b"G":
            if tag[2] != b"B" or (tag[3] != b"I" and tag[3] != b"i"):
                return NULL
            count = load_u32(tag + 4)
            return tag if record_cigar_count(record) <= count < (1 << 29) else NULL
        tag = after
    return NULL


cdef bint fits(const uint8_t *record, int64_t available) noexcept nogil:
    """Tell whether the lengths in a record agree with each other and with the available bytes."""
    cdef int64_t l_seq
    if available < 36 or <int64_t> load_u32(record) + 4 != available:
        return False
    l_seq = record_l_seq(record)
    if record_name_length(record) == 0 or l_seq < 0:
        return False
    return 36 + record_name_length(record) + 4 * <int64_t> record_cigar_count(record) \
        + (l_seq + 1) // 2 + l_seq <= available


cdef uint8_t *put_record(
    uint8_t *out, const uint8_t *record, const uint8_t *readable, ReferenceNames names
) noexcept nogil:
    """Write a line of SAM; return its end, or NULL if a tag does not fit.

    The caller must have checked `fits` and the references. ``readable``: end of the readable bytes.
    """
    cdef const uint8_t *end = record_end(record)
    cdef const uint8_t *tag = record_tags(record)
    cdef const uint8_t *moved = long_cigar(record)
    out = put_bytes(out, record_name(record), record_name_length(record) - 1, end)
    out = put_unsigned(put_byte(out, b"\t"), record_flag(record))
    out = put_reference(put_byte(out, b"\t"), names, record_ref(record))
    out = put_signed(put_byte(out, b"\t"), <int64_t> record_pos(record) + 1)
    out = put_byte(put_unsigned(put_byte(out, b"\t"), record_mapq(record)), b"\t")
    if moved == NULL:
        out = put_cigar(out, record_cigar(record), record_cigar_count(record))
    else:
        out = put_cigar(out, moved + 8, load_u32(moved + 4))
    out = put_byte(out, b"\t")
    if record_next_ref(record) >= 0 and record_next_ref(record) == record_ref(record):
        out = put_byte(out, b"=")
    else:
        out = put_reference(out, names, record_next_ref(record))
    out = put_signed(put_byte(out, b"\t"), <int64_t> record_next_pos(record) + 1)
    out = put_byte(put_signed(put_byte(out, b"\t"), record_tlen(record)), b"\t")
    if record_l_seq(record):
        put_bases(out, record_seq(record), record_l_seq(record))
        out = put_byte(out + record_l_seq(record), b"\t")
        out = put_qualities(out, record_qual(record), record_l_seq(record))
    else:
        memcpy(out, b"*\t*", 3)
        out += 3
    while tag < end:
        if tag == moved:
            tag = tag_after(tag, end)
            continue
        out = put_tag(out, &tag, end, readable)
        if out == NULL:
            return NULL
    return put_byte(out, b"\n")


cdef int format_record(
    Buffer out, const uint8_t *record, int64_t length, const uint8_t *readable, ReferenceNames names
) except -1 nogil:
    """Append a record's line to ``out``; return 1 if the record is invalid."""
    cdef int64_t ref_length, next_length
    cdef uint8_t *end
    if not fits(record, length):
        return 1
    ref_length = name_length(names, record_ref(record))
    next_length = name_length(names, record_next_ref(record))
    if ref_length < 0 or next_length < 0:
        return 1
    out.reserve(<size_t> (TEXT_PER_BYTE * length + ref_length + next_length + FIXED_TEXT))
    end = put_record(out.data + out.size, record, readable, names)
    if end == NULL:
        return 1
    out.size = end - out.data
    return 0


def format_sam(block, ReferenceNames names, Buffer out=None):
    """Append the SAM lines of a `RecordBlock` to ``out`` (a new Buffer if None), and return it.

    As in samtools, long CIGARs are taken from the CG tag, which is not printed. Raises FormatError for an invalid
    record, or one whose reference is not in the header.
    """
    cdef const int64_t[::1] offsets = block.offsets
    cdef const uint8_t[::1] data = block.data
    cdef Py_ssize_t count = offsets.shape[0] - 1
    cdef Py_ssize_t i
    cdef int64_t size = data.shape[0]
    cdef int bad = 0
    if out is None:
        out = Buffer()
    if count <= 0:
        return out
    if 0 <= offsets[0] < offsets[count] <= size:
        out.reserve(2 * <size_t> (offsets[count] - offsets[0]))
    with nogil:
        for i in range(count):
            bad = not (0 <= offsets[i] < offsets[i + 1] <= size)
            if not bad:
                bad = format_record(out, &data[offsets[i]], offsets[i + 1] - offsets[i], &data[0] + size, names)
            if bad:
                break
    if bad:
        raise FormatError(f"record {i + 1} of {count} in a block can't be written as SAM: its lengths, "
                          f"tags or references are invalid; check the dataset with bams3 verify")
    return out
