# Compiled with -O1: no run spends its time here.
"""The values of one tag in Arrow's memory layout: numbers, or offsets and text, or offsets and elements of arrays."""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bams3.bam.fields cimport tag_width
from bams3.buffer cimport Buffer
from bams3.codec.tags cimport NUMBERS, Tags, integer_at, is_cigar, key_kind

from bams3.errors import FormatError, UsageError

cdef array.array INT32 = new_array("i")

cdef enum:
    LARGEST = 0x7FFFFFFF  # bytes of text, or elements, that 32-bit offsets can address
    NAME = 2              # bytes before the type of a tag
    ELEMENTS = 8          # bytes before the elements of an array

INTEGERS, FLOATS, TEXTS = "integers", "floats", "texts"


cdef str kind_of(uint32_t key):
    cdef int kind = key_kind(key)
    if kind == b"B":
        return chr(key >> 24)
    if kind == b"f":
        return FLOATS
    return TEXTS if kind == b"A" or kind == b"Z" or kind == b"H" else INTEGERS


def kinds(Tags tags not None, str name):
    """The kinds of values of the tag ``name``, in order of first appearance in the layouts: INTEGERS, FLOATS, TEXTS, or
    for arrays, the BAM type of their elements. List of str without duplicates."""
    cdef Py_ssize_t k
    found = [kind_of(tags.sources[k].key) for k in range(tags.source_count) if is_wanted(tags, k, name)]
    return list(dict.fromkeys(found))


cdef bint is_wanted(Tags tags, Py_ssize_t source, str name):
    return tags.names[source][4:6] == name and not is_cigar(tags.sources[source].key)


cdef inline int put_text(Buffer out, const uint8_t *tag, size_t size) except -1 nogil:
    """Append the text of a tag of type A, Z or H. The character of type A is taken as Latin-1."""
    if tag[NAME] != b"A":
        return out.put(tag + NAME + 1, size - NAME - 2)
    if tag[NAME + 1] < 0x80:
        return out.put_u8(tag[NAME + 1])
    out.put_u8(0xC0 | tag[NAME + 1] >> 6)
    return out.put_u8(0x80 | (tag[NAME + 1] & 0x3F))


cdef inline double float_of(const uint8_t *tag) noexcept nogil:
    cdef float number
    memcpy(&number, tag + NAME + 1, 4)
    return number


cdef class TagColumn:
    """The value of the first tag ``name`` of every record. Its only kind must be ``kind`` (see `kinds`).

    Attributes
    ----------
    valid
        bytearray with 1 for each record that has the tag, otherwise 0.
    values
        INTEGERS: an int64 for each record; FLOATS: a float64 for each record; TEXTS: the bytes of all texts; otherwise
        the elements of all arrays.
    offsets
        array('i') of n + 1 offsets into the texts or elements; empty for numbers.
    """

    cdef readonly bytearray valid
    cdef readonly array.array offsets
    cdef readonly Buffer values

    def __init__(self, Tags tags not None, str name, str kind not None):
        """Raises FormatError if a stream has too few values, UsageError if there are too many for Arrow."""
        cdef Py_ssize_t n = len(tags.layout), i, k
        cdef bint is_text = kind == TEXTS, is_float = kind == FLOATS, is_number = is_float or kind == INTEGERS
        cdef int width = 1 if is_text else 8 if is_number else tag_width(ord(kind))
        cdef bytearray wanted = bytearray(tags.source_count + 1)
        if not width:
            raise ValueError(f"unknown kind of values {kind!r}")
        for k in range(tags.source_count):
            if is_wanted(tags, k, name):
                wanted[k] = 1
                if kind_of(tags.sources[k].key) != kind:
                    raise ValueError("the values of a tag are of different kinds")
        self.valid = bytearray(n)
        self.offsets = array.clone(INT32, 0 if is_number else n + 1, True)
        self.values = Buffer(8 * n if is_number else 0)
        cdef Buffer tag = Buffer(256)
        cdef const uint8_t[::1] is_value = wanted
        cdef uint8_t[::1] valid = self.valid
        cdef int32_t *offsets = <int32_t *> self.offsets.data.as_ints
        cdef double number
        cdef bint whole = True
        with nogil:
            for i in range(n):
                whole = self.next_value(tags, i, &is_value[0], tag, &valid[i])
                if not whole:
                    break
                if is_float:
                    number = float_of(tag.data) if valid[i] else 0
                    self.values.put(&number, 8)
                elif is_number:
                    self.values.put_u64(<uint64_t> integer_at(tag.data[NAME], tag.data + NAME + 1) if valid[i] else 0)
                else:
                    if valid[i] and is_text:
                        put_text(self.values, tag.data, tag.size)
                    elif valid[i]:
                        self.values.put(tag.data + ELEMENTS, tag.size - ELEMENTS)
                    if self.values.size // width > LARGEST:
                        break
                    offsets[i + 1] = <int32_t> (self.values.size // width)
        if not whole:
            raise FormatError(f"the streams of tag '{name}' have no value for record {i + 1} of the row group")
        if self.values.size // width > LARGEST:
            raise UsageError(f"[{name}] does not fit an Arrow column: a row group has 2^31 bytes or elements")

    cdef bint next_value(
        self, Tags tags, Py_ssize_t record, const uint8_t *is_value, Buffer tag, uint8_t *found
    ) except -1 nogil:
        """Copy the next record's first tag to ``tag``, as in BAM. Returns False if a stream lacks one of its values."""
        cdef uint32_t layout = tags.layout.data.as_uints[record], k
        cdef size_t first = 0
        cdef uint8_t *end = tag.data
        for k in range(tags.layout_start[layout], tags.layout_start[layout + 1]):
            if is_value[tags.layouts[k]]:
                end = tag.room(end, NUMBERS + 4)
                end = tags.put_value(tag, end, NUMBERS + 4, &tags.sources[tags.layouts[k]], record)
                if end == NULL:
                    return False
                if not found[0]:
                    found[0] = 1
                    first = end - tag.data
        tag.size = first
        return True
