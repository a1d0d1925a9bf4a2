"""Optional fields (tags).

A record's *layout* is the list of its tags' ids and types, in order. Every distinct layout is stored
once, in order of first appearance, in ``tag.layouts``: u16 number of tags, then four bytes a tag (id,
type, subtype or 0). ``tag.layout`` holds, as short integers, 0 for a record that brings the next new
layout, or k for one that has the k-th.

Values are split by id, type and subtype into a stream ``tag.XX:T`` each, in the order of the records:
A c C s S i I f as little-endian integers; Z and H with their NUL; B as its elements, with the number of elements of each array in ``tag.XX:Bt.count`` (u32).

The layout entry ``CG B *`` stands for the CIGAR of a record listed in ``cigar.placeholder`` (see
``cigars``) and has no stream.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, strlen

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport Cursor, get_short, open_cursor, put_short
from bams3.sources.fields cimport load_u16, load_u32, record_end, record_tags, tag_width

from bams3.errors import FormatError, SourceError

cdef array.array UINT32 = new_array("I")

cdef enum:
    MAX_TAGS = 65535
    KEY = 4  # bytes of a layout entry
    CG = 0x4743  # "CG", little-endian
    CIGAR_KEY = 0x2A424743  # "CGB*"


cdef uint32_t next_tag(const uint8_t *p, const uint8_t **value, int64_t *length, const uint8_t **after) noexcept nogil:
    """Key (id, type, subtype) of the tag at p in a validated record, its value, and where the next starts."""
    cdef uint32_t key = p[0] | <uint32_t> p[1] << 8 | <uint32_t> p[2] << 16
    cdef int width = tag_width(p[2])
    if width:
        value[0] = p + 3
        length[0] = width
    elif p[2] == b"B":
        key |= <uint32_t> p[3] << 24
        value[0] = p + 8
        length[0] = <int64_t> load_u32(p + 4) * tag_width(p[3])
    else:
        value[0] = p + 3
        length[0] = <int64_t> strlen(<const char *> p + 3) + 1
    after[0] = value[0] + length[0]
    return key


cdef inline bint is_cigar(uint32_t key) noexcept nogil:
    return key == CIGAR_KEY


def stream_name(uint32_t key):
    """Name of the stream of a tag: ``tag.NM:C``, ``tag.ML:BC``."""
    return "tag." + bytes([key & 255, key >> 8 & 255]).decode("latin-1") + ":" + bytes(
        [b for b in (key >> 16 & 255, key >> 24) if b]
    ).decode("latin-1")


cdef class Column:
    """The values of one tag and type."""

    cdef uint32_t key
    cdef Buffer values, counts

    def __cinit__(self, uint32_t key):
        self.key = key
        self.values = Buffer(width=max(1, tag_width((key >> 24 if key >> 24 else key >> 16) & 255)))
        self.counts = Buffer(width=4)

    cdef dict streams(self):
        cdef int kind = self.key >> 16 & 255
        name = stream_name(self.key)
        if kind == b"B":
            return {name: self.values, name + ".count": self.counts}
        return {name: self.values}


cdef class Encoder:
    """Splits the tags of a block; ``streams`` has the result."""

    cdef readonly dict streams
    cdef dict layouts, column_of
    cdef list columns
    cdef Buffer definitions, keys

    def __init__(self, block, const uint32_t[::1] placeholders):
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t n = offsets.shape[0] - 1, i, marked = 0
        cdef Buffer layout = Buffer(n), layout_long = Buffer(width=4)
        cdef Py_ssize_t known = 0, code, previous = -1
        cdef bint placeholder
        cdef size_t previous_size = 0
        cdef uint8_t previous_keys[4 * 64]
        cdef list of_layout = []
        cdef list columns
        self.layouts = {}
        self.column_of = {}
        self.columns = []
        self.definitions = Buffer()
        self.keys = Buffer()
        columns = []
        for i in range(n):
            placeholder = marked < placeholders.shape[0] and placeholders[marked] == i
            marked += placeholder
            self.keys.size = 0
            self.read_keys(&data[offsets[i]], placeholder)
            # Most records have the layout of the one before: no look-up for those.
            if not (
                previous >= 0 and self.keys.size == previous_size
                and memcmp(self.keys.data, previous_keys, previous_size) == 0
            ):
                found = self.layouts.get(<bytes> (<char *> self.keys.data)[:self.keys.size])
                code = found if found is not None else -1
                if code < 0:
                    code = known
                    known += 1
                    of_layout.append(self.define_layout(i))
                    put_short(layout, layout_long, 0)
                else:
                    put_short(layout, layout_long, <uint32_t> code + 1)
                columns = <list> of_layout[code]
                previous = code if self.keys.size <= sizeof(previous_keys) else -1
                if previous >= 0:
                    previous_size = self.keys.size
                    memcpy(previous_keys, self.keys.data, previous_size)
            else:
                put_short(layout, layout_long, <uint32_t> previous + 1)
            self.read_values(&data[offsets[i]], columns)
        self.streams = {"tag.layout": layout, "tag.layout.long": layout_long, "tag.layouts": self.definitions}
        for column in self.columns:
            self.streams.update((<Column> column).streams())

    cdef int read_keys(self, const uint8_t *r, bint placeholder) except -1:
        """Put the layout of a record into ``keys``."""
        cdef const uint8_t *p = record_tags(r)
        cdef const uint8_t *end = record_end(r)
        cdef const uint8_t *value = NULL
        cdef int64_t length = 0
        cdef uint32_t key
        while p < end:
            key = next_tag(p, &value, &length, &p)
            if placeholder and key & 0xFFFF == CG:
                key = CIGAR_KEY
                placeholder = False
            self.keys.put_u32(key)
        return 0

    cdef list define_layout(self, Py_ssize_t record):
        """Add the layout in ``keys``; returns the columns of its tags (None for the CIGAR)."""
        cdef size_t count = self.keys.size // KEY, k
        cdef uint32_t key
        if count > MAX_TAGS:
            raise SourceError(f"record {record + 1} of the row group has {count} tags; at most {MAX_TAGS} can be kept")
        self.layouts[bytes(self.keys)] = len(self.layouts)
        self.definitions.put_u16(<uint16_t> count)
        self.definitions.put(self.keys.data, self.keys.size)
        columns = []
        for k in range(count):
            key = load_u32(self.keys.data + KEY * k)
            if is_cigar(key):
                columns.append(None)
                continue
            if key not in self.column_of:
                self.column_of[key] = Column(key)
                self.columns.append(self.column_of[key])
            columns.append(self.column_of[key])
        return columns

    cdef int read_values(self, const uint8_t *r, list columns) except -1:
        """Put the values of a record into their columns."""
        cdef const uint8_t *p = record_tags(r)
        cdef const uint8_t *value = NULL
        cdef int64_t length = 0
        cdef Py_ssize_t k
        cdef Column column
        cdef uint32_t key
        for k in range(len(columns)):
            key = next_tag(p, &value, &length, &p)
            if columns[k] is None:
                continue
            column = <Column> columns[k]
            if (key >> 16 & 255) == b"B":
                column.counts.put_u32(load_u32(value - 4))
            column.values.put(value, length)
        return 0


cdef class Tags:
    """The tags of a row group: to be put behind their records, or the values of one.

    ``Tags(streams, n)`` opens all, ``Tags(streams, n, name)`` those called ``name`` and no other stream. Raises
    FormatError where the streams do not agree with each other or with n.
    """

    def __cinit__(self):
        self.sources = NULL
        self.layouts = NULL
        self.layout_start = NULL

    def __dealloc__(self):
        free(self.sources)
        free(self.layouts)
        free(self.layout_start)

    def __init__(self, streams, Py_ssize_t n, name=None):
        cdef const uint8_t[::1] definitions = streams["tag.layouts"]
        self.held = []
        self.names = []
        cdef list starts = self.read_layouts(definitions)
        self.open_sources(streams, name)
        self.layout = array.clone(UINT32, n, False)
        cdef uint32_t[::1] layout = self.layout
        cdef Cursor main, longs
        cdef uint32_t code = 0
        cdef Py_ssize_t i, fresh = 0, known = len(starts) - 1
        open_cursor(&main, streams["tag.layout"])
        open_cursor(&longs, streams["tag.layout.long"])
        for i in range(n):
            if not get_short(&main, &longs, &code) or code > fresh or (code == 0 and fresh == known):
                raise FormatError(f"stream 'tag.layout' has no valid layout for record {i + 1} of the row group")
            if code == 0:
                fresh += 1
                code = <uint32_t> fresh
            layout[i] = code - 1

    cdef list read_layouts(self, const uint8_t[::1] definitions):
        """Fill ``layouts``, ``layout_start`` and the keys of ``sources``."""
        cdef Py_ssize_t at = 0, size = definitions.shape[0], count, k, entries = 0
        cdef uint32_t key
        cdef dict known = {}
        cdef list starts = [0]
        self.layouts = <uint32_t *> malloc(size + 4)
        self.sources = <Source *> malloc((size // KEY + 1) * sizeof(Source))
        if self.layouts == NULL or self.sources == NULL:
            raise MemoryError("no memory for the tags of a row group")
        while at < size:
            if size - at < 2 or size - at - 2 < KEY * load_u16(&definitions[at]):
                raise FormatError("stream 'tag.layouts' ends in the middle of a layout")
            count = load_u16(&definitions[at])
            at += 2
            for k in range(count):
                key = load_u32(&definitions[at])
                at += KEY
                if key not in known:
                    known[key] = len(known)
                    self.sources[<Py_ssize_t> len(known) - 1].key = key
                    self.names.append(stream_name(key))
                self.layouts[entries] = <uint32_t> known[key]
                entries += 1
            starts.append(entries)
        self.layout_start = <uint32_t *> malloc(len(starts) * sizeof(uint32_t))
        if self.layout_start == NULL:
            raise MemoryError("no memory for the tags of a row group")
        for k in range(len(starts)):
            self.layout_start[k] = <uint32_t> starts[k]
        return starts

    cdef int open_sources(self, streams, name) except -1:
        cdef Source *source
        cdef Py_ssize_t k
        cdef int kind
        cdef const uint8_t[::1] values, counts
        for k in range(len(self.names)):
            source = &self.sources[k]
            kind = source.key >> 16 & 255
            source.width = tag_width(source.key >> 24 if kind == b"B" else kind)
            source.used = source.values = 0
            source.counts = NULL
            if is_cigar(source.key) or (name is not None and self.names[k][4:6] != name):
                continue
            if source.width == 0 and (kind != b"Z" and kind != b"H"):
                raise FormatError(f"stream 'tag.layouts' has a tag of unknown type: {self.names[k][4:]}")
            held = streams[self.names[k]]
            values = held
            self.held.append(held)
            source.at = &values[0] if values.shape[0] else NULL
            source.end = source.at + values.shape[0]
            if kind == b"B":
                held = streams[self.names[k] + ".count"]
                counts = held
                self.held.append(held)
                source.counts = &counts[0] if counts.shape[0] else NULL
                source.values = counts.shape[0] // 4
            elif source.width:
                source.values = values.shape[0] // source.width
                if values.shape[0] % source.width:
                    raise FormatError(f"stream '{self.names[k]}' does not hold whole values")
        return 0

    cdef int put(self, Buffer out, Py_ssize_t record, const uint32_t *cigar, uint32_t operations) except -1 nogil:
        """Append the tags of the next record. ``cigar``: what a tag CG stands for, NULL if it can't."""
        cdef uint32_t k, layout = self.layout.data.as_uints[record]
        cdef bint whole = True
        for k in range(self.layout_start[layout], self.layout_start[layout + 1]):
            if is_cigar(self.sources[self.layouts[k]].key):
                whole = cigar != NULL
                if whole:
                    out.put(b"CGBI", 4)
                    out.put_u32(operations)
                    out.put(cigar, 4 * <size_t> operations)
            else:
                whole = put_value(out, &self.sources[self.layouts[k]])
            if not whole:
                with gil:
                    raise FormatError(
                        f"stream '{self.names[self.layouts[k]]}' has no value for record {record + 1} of the row group"
                    )
        return 0


    def values(self, str name):
        """The value of the first tag ``name`` of every record: int, float, str, bytes (an array: its subtype, number of
        elements and elements, as BAM has them), or None where there is no such tag. List of length n."""
        cdef Buffer tag = Buffer()
        cdef uint32_t k, layout
        cdef Py_ssize_t i
        found = []
        for i in range(len(self.layout)):
            value = None
            layout = self.layout.data.as_uints[i]
            for k in range(self.layout_start[layout], self.layout_start[layout + 1]):
                if self.names[self.layouts[k]][4:6] != name or is_cigar(self.sources[self.layouts[k]].key):
                    continue
                tag.size = 0
                if not put_value(tag, &self.sources[self.layouts[k]]):
                    raise FormatError(f"stream '{self.names[self.layouts[k]]}' has no value for record {i + 1}")
                if value is None:
                    value = parse_value(tag)
            found.append(value)
        return found


cdef object parse_value(Buffer tag):
    """Python's form of the one tag in a buffer."""
    cdef int kind = tag.data[2]
    cdef const uint8_t *value = tag.data + 3
    if kind == b"Z" or kind == b"H":
        return (<char *> value)[:tag.size - 4].decode("utf-8", "surrogateescape")
    if kind == b"A":
        return chr(value[0])
    if kind == b"c":
        return <int8_t> value[0]
    if kind == b"C":
        return value[0]
    if kind == b"s":
        return <int16_t> load_u16(value)
    if kind == b"S":
        return load_u16(value)
    if kind == b"i":
        return <int32_t> load_u32(value)
    if kind == b"I":
        return load_u32(value)
    if kind == b"f":
        return (<float *> value)[0]
    return (<char *> value)[:tag.size - 3]


cdef bint put_value(Buffer out, Source *source) except -1 nogil:
    """Append one tag with its next value; False where the stream has none left."""
    cdef int kind = source.key >> 16 & 255
    cdef const uint8_t *nul
    cdef int64_t length
    if kind == b"B":
        if source.used == source.values:
            return False
        length = <int64_t> load_u32(source.counts + 4 * source.used) * source.width
        if length > source.end - source.at:
            return False
        out.put(&source.key, 4)
        out.put(source.counts + 4 * source.used, 4)
        source.used += 1
    elif source.width:
        if source.used == source.values:
            return False
        length = source.width
        out.put(&source.key, 3)
        source.used += 1
    else:
        nul = NULL
        if source.at < source.end:
            nul = <const uint8_t *> memchr(source.at, 0, source.end - source.at)
        if nul == NULL:
            return False
        length = nul + 1 - source.at
        out.put(&source.key, 3)
    out.put(source.at, length)
    source.at += length
    return True
