# Compiled with -O1: no run spends its time here.
"""Marking of records: copies with changed FLAGs and tags, or without the duplicates."""

from cpython cimport array
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, strlen

from bams3.bam.fields cimport DUP, next_tag, record_end, record_flag, record_name, record_tags, tag_width
from bams3.duplicates.bits cimport COPIES, DUPLICATE, LIBRARY, NAMED, OPTICAL, UNCOUNTED
from bams3.duplicates.marks cimport Marks
import array

from bams3.bam.records import RecordBlock
from bams3.errors import SourceError

cdef array.array INT64 = array.array("q")
cdef enum:
    MOST_ADDED = 3 + 255 + 6 + 7  # bytes of the tags do, dt and dc


def changed(block, Marks marks not None, *, bint remove=False, bint clear=False):
    """Return a block whose duplicates have FLAG 0x400, and the tags do, dt and dc that the marks ask for.

    If nothing changes, the block itself is returned. `remove`: leave out duplicates. `clear`: remove earlier marks
    (FLAG 0x400, and the tags do and dt of such records) first. Raises SourceError for a tag do that is not text.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t i, count = len(block), tagged = 0
    cdef int64_t kept = 0, at = 0, size
    cdef uint16_t flag, before
    cdef int wanted
    cdef array.array new
    cdef int64_t *ends
    cdef bytes out  # may be longer than the records in it
    cdef uint8_t *to
    cdef const uint8_t *bits = <const uint8_t *> <const char *> marks.bits
    cdef const uint8_t *more = <const uint8_t *> <const char *> marks.more
    cdef const uint8_t *record
    cdef bint changes = False
    if len(marks.bits) != count:
        raise ValueError(f"{len(marks.bits)} marks for {count} records")
    for i in range(count):
        changes = changes or bits[i] or ((remove or clear) and record_flag(&data[offsets[i]]) & DUP)
        tagged += bits[i] & ~DUPLICATE != 0
    if not changes:
        return block
    new = array.clone(INT64, count + 1, zero=True)
    ends = <int64_t *> new.data.as_longlongs
    out = PyBytes_FromStringAndSize(NULL, offsets[count] - offsets[0] + tagged * MOST_ADDED)
    to = <uint8_t *> <char *> out
    with nogil:
        for i in range(count):
            record = &data[offsets[i]]
            before = record_flag(record)
            flag = (before & ~DUP if clear else before) | (DUP if bits[i] & DUPLICATE else 0)
            size = 0
            if remove and flag & DUP:
                pass
            elif (clear and before & DUP) or bits[i] & ~DUPLICATE:
                wanted = bits[i] & ~(COPIES if flag & DUP else 0)  # nor do records that were marked before have one
                size = with_tags(record, clear and before & DUP, wanted, more, to + at)
                if size == 0:
                    break
            else:
                size = offsets[i + 1] - offsets[i]
                memcpy(to + at, record, size)
            if bits[i] & NAMED:
                more += strlen(<const char *> more) + 1
            elif bits[i] & COPIES:
                more += 4
            if size:
                memcpy(to + at + 18, &flag, 2)
                at += size
                kept += 1
                ends[kept] = at
        else:
            i = count
    if i < count:
        name = (<const char *> record_name(&data[offsets[i]])).decode("ascii", "backslashreplace")
        raise SourceError(f"read {name} has a tag do that is not text; drop it first")
    array.resize(new, kept + 1)
    return RecordBlock(out, new)


cdef int64_t with_tags(const uint8_t *record, bint clear, int bits, const uint8_t *more, uint8_t *out) noexcept nogil:
    """Write a copy of a record with the tags that its mark asks for, in place of existing ones or at the end.

    Returns the size of the copy, or 0 if a tag do is not text. `clear`: drop the first existing tags do and dt.
    """
    cdef const uint8_t *tag = record_tags(record)
    cdef const uint8_t *end = record_end(record)
    cdef const uint8_t *after
    cdef int64_t size = tag - record
    cdef uint32_t block_size
    cdef bint cleared_do = not clear, cleared_dt = not clear
    cdef bint uncounted = bits & UNCOUNTED == 0
    cdef bint named = bits & NAMED == 0, typed = bits & (OPTICAL | LIBRARY) == 0, counted = bits & COPIES == 0
    memcpy(out, record, size)
    while tag < end:
        after = next_tag(tag)
        if tag[0] == c"d" and tag[1] == c"o" and not (cleared_do and named):
            if not cleared_do:
                cleared_do = True
            else:
                named = True
                if tag[2] != c"Z":
                    return 0
                size += put_text(out + size, c"o", more)
            tag = after
        elif tag[0] == c"d" and tag[1] == c"t" and not (cleared_dt and typed):
            if not cleared_dt:
                cleared_dt = True
                tag = after
            else:
                typed = True
                if tag[2] == c"Z":
                    size += put_text(out + size, c"t", kind_of(bits))
                    tag = after
        elif tag[0] == c"d" and tag[1] == c"c" and not counted:
            counted = True
            if tag_width(tag[2]) and tag[2] != c"A" and tag[2] != c"f":
                size += put_number(out + size, more, tag_width(tag[2]))
                tag = after
        elif tag[0] == c"d" and tag[1] == c"c" and not uncounted:
            uncounted = True
            tag = after
        if tag != after:
            memcpy(out + size, tag, after - tag)
            size += after - tag
            tag = after
    if not named:
        size += put_text(out + size, c"o", more)
    if not typed:
        size += put_text(out + size, c"t", kind_of(bits))
    if not counted:
        size += put_number(out + size, more, 1)
    block_size = <uint32_t> (size - 4)
    memcpy(out, &block_size, 4)
    return size


cdef inline const uint8_t *kind_of(int bits) noexcept nogil:
    """Return the value of the tag dt: SQ for a duplicate from the sequencer, LB for one from the library."""
    return <const uint8_t *> (b"SQ" if bits & OPTICAL else b"LB")


cdef inline int64_t put_text(uint8_t *out, uint8_t letter, const uint8_t *text) noexcept nogil:
    cdef int64_t size = strlen(<const char *> text) + 1
    out[0], out[1], out[2] = c"d", letter, c"Z"
    memcpy(out + 3, text, size)
    return 3 + size


cdef inline int64_t put_number(uint8_t *out, const uint8_t *value, int least) noexcept nogil:
    """Write the tag dc with at least `least` bytes for its value, and with the type that htslib would choose."""
    cdef uint32_t number
    cdef int width
    memcpy(&number, value, 4)
    width = 1 if number < 255 else 2 if number < 65_535 else 4
    width = max(width, least)
    out[0], out[1], out[2] = c"d", c"c", c"C" if width == 1 else c"S" if width == 2 else c"I"
    memcpy(out + 3, &number, width)  # the machine is little-endian, like BAM
    return 3 + width
