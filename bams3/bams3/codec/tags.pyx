"""Optional fields (tags).

A record's *layout* is the ordered list of its tags' ids and types. Every distinct layout is stored once, in order of
first appearance, in ``tag.layouts``: the number of tags (u16), then four bytes per tag (id, type, subtype or 0).
``tag.layout`` holds, as short integers, 0 for a record with the next new layout, k for a record with the k-th layout.

A type with bit 7 set means that the value is derived (see ``derived``) and has no stream. The other values are split by
id, type and subtype into streams ``tag.XX:T``, in record order:

- A c C s S i I f: little-endian values.
- Z, H: the texts, each with its NUL. If there is a stream ``tag.XX:T.values``, it has the distinct texts (at most 255,
  each with its NUL), and ``tag.XX:T`` has an index into it for each value, one byte each.
- B: the elements; ``tag.XX:Bt.count`` has the number of elements of each array (u32).

Some tags have other streams: kinetics (see ``kinetics``), moves (``moves``), MM (``modifications``), SA, XA and OA with
their CIGARs (``cigar_texts``), and barcodes and other texts that resemble each other (``related``). The layout entry
``CG B *`` stands for the CIGAR of a record listed in ``cigar.placeholder`` (see ``cigars``), and has no stream.
"""

cimport cython
from cpython cimport array
from array import array as new_array

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memset, strlen

from bams3.buffer cimport Buffer, copy_short
from bams3.codec.derived cimport DERIVED, Derived, is_derivable
from bams3.codec.primitives cimport ShortCursor, get_short, open_short
from bams3.bam.fields cimport load_u16, load_u32

from bams3.codec import cigar_texts
from bams3.errors import FormatError

cdef array.array UINT32 = new_array("I")


def stream_name(uint32_t key):
    """Name of a tag's stream: ``tag.NM:C``, ``tag.ML:BC``."""
    return "tag." + bytes([key & 255, key >> 8 & 255]).decode("latin-1") + ":" + bytes(
        [b for b in (key_kind(key), key >> 24) if b]
    ).decode("latin-1")


def texts(streams, name):
    """The distinct texts of the stream ``name``, ``tag.XX:Z``, of a row group: set of bytes."""
    words = streams.get(name + ".values") or streams.get(name) or b""
    values = bytes(words).split(b"\0")
    values.pop()  # each value ends in a zero
    return set(values)


cdef object plain_texts(streams, name):
    """The texts of a tag's stream, each with its NUL, whether or not they are stored with a dictionary."""
    texts = streams[name]
    words = bytes(streams[name + ".values"]).split(b"\0")
    words.pop()  # each text ends in a zero
    if not words:
        return texts
    if max(bytes(texts), default=0) >= len(words):
        raise FormatError(f"stream '{name}' has an index beyond its texts")
    return b"".join([words[index] + b"\0" for index in bytes(texts)])


@cython.final
cdef class Tags:
    """The tags of a row group: writes them to the end of each record, or returns the values of one tag.

    Parameters
    ----------
    streams, n
        The streams of the row group, and its number of records.
    derive
        ``derive()`` returns the records' `Derived`. It is called only if it is needed.
    spell
        ``spell(heads, listed, holders)`` returns the texts of MM, from their streams and the records that have them.
    pace
        ``pace(name, width, holders)`` returns the elements, and the length of each array, of the tag of kinetics or
        moves whose streams' names begin with ``name``.
    relate
        ``relate(name, holders)`` returns the texts of a stream of one of RELATED_TAGS.
    name
        If given, only the streams of this tag are opened.

    Raises
    ------
    FormatError
        If the streams disagree with each other or with n.
    """

    def __cinit__(self):
        self.sources = NULL
        self.source_count = 0
        self.layouts = NULL
        self.layout_start = NULL

    def __dealloc__(self):
        cdef Py_ssize_t k
        for k in range(self.source_count):
            free(self.sources[k].word_start)
        free(self.sources)
        free(self.layouts)
        free(self.layout_start)

    def __init__(self, streams, Py_ssize_t n, derive, spell, pace, relate, name=None):
        cdef const uint8_t[::1] definitions = streams["tag.layouts"]
        self.held = []
        self.names = []
        cdef list starts = self.read_layouts(definitions)
        self.layout = array.clone(UINT32, n, False)
        cdef uint32_t[::1] layout = self.layout
        cdef ShortCursor cursor
        cdef uint32_t code = 0
        cdef Py_ssize_t i, fresh = 0, known = len(starts) - 1
        open_short(&cursor, streams["tag.layout"], streams["tag.layout.long"])
        for i in range(n):
            if not get_short(&cursor, &code) or code > fresh or (code == 0 and fresh == known):
                raise FormatError(f"stream 'tag.layout' has no valid layout for record {i + 1} of the row group")
            if code == 0:
                fresh += 1
                code = <uint32_t> fresh
            layout[i] = code - 1
        self.open_sources(streams, name, derive, spell, pace, relate)

    cdef list read_layouts(self, const uint8_t[::1] definitions):
        """Fill ``layouts``, ``layout_start`` and the keys of ``sources``."""
        cdef Py_ssize_t at = 0, size = definitions.shape[0], count, k, entries = 0
        cdef uint32_t key
        cdef dict known = {}
        cdef list starts = [0]
        self.layouts = <uint32_t *> malloc(size + 4)
        self.sources = <Source *> malloc((size // KEY + 1) * sizeof(Source))
        if self.layouts == NULL or self.sources == NULL:
            raise MemoryError("not enough memory for the tags of a row group")
        memset(self.sources, 0, (size // KEY + 1) * sizeof(Source))
        while at < size:
            if size - at < 2 or size - at - 2 < KEY * load_u16(&definitions[at]):
                raise FormatError("stream 'tag.layouts' ends in the middle of a layout")
            count = load_u16(&definitions[at])
            at += 2
            for k in range(count):
                key = load_u32(&definitions[at])
                at += KEY
                if key not in known:
                    known[key] = self.source_count
                    self.sources[self.source_count].key = key
                    self.source_count += 1
                    self.names.append(stream_name(key))
                self.layouts[entries] = <uint32_t> known[key]
                entries += 1
            starts.append(entries)
        self.layout_start = <uint32_t *> malloc(len(starts) * sizeof(uint32_t))
        if self.layout_start == NULL:
            raise MemoryError("not enough memory for the tags of a row group")
        for k in range(len(starts)):
            self.layout_start[k] = <uint32_t> starts[k]
        return starts

    cdef int open_sources(self, streams, name, derive, spell, pace, relate) except -1:
        cdef Source *source
        cdef Py_ssize_t k
        cdef int kind
        cdef const uint8_t[::1] values, counts
        for k in range(len(self.names)):
            source = &self.sources[k]
            kind = key_kind(source.key)
            source.width = key_width(source.key)
            if is_cigar(source.key) or (name is not None and self.names[k][4:6] != name):
                continue
            if source.key & DERIVED:
                if not is_derivable(source.key):
                    raise FormatError(f"stream 'tag.layouts' has a tag that cannot be derived: {self.names[k][4:]}")
                if self.derived is None:
                    self.derived = derive()
                continue
            if source.width == 0 and (kind != b"Z" and kind != b"H"):
                raise FormatError(f"stream 'tag.layouts' has a tag of unknown type: {self.names[k][4:]}")
            held, numbers = streams[self.names[k]], streams[self.names[k] + ".count"]
            if source.key == MODIFICATIONS_KEY and len(streams[self.names[k] + ".listed"]):
                held = self.spelled(k, streams, spell)
            elif holds_cigars(source.key) and len(streams[self.names[k] + ".op"]):
                held = cigar_texts.decode(streams, self.names[k])
            elif kind == b"Z" and len(streams[self.names[k] + ".like"]):
                held = relate(self.names[k], self.holders(k))
            elif kind == b"B" and any(len(streams[self.names[k] + suffix]) for suffix in (".tables", ".stride")):
                held, numbers = pace(self.names[k], source.width, self.holders(k))
            values = held
            self.held.append(held)
            source.at = &values[0] if values.shape[0] else NULL
            source.end = source.at + values.shape[0]
            if kind == b"B":
                counts = numbers
                self.held.append(numbers)
                source.counts = &counts[0] if counts.shape[0] else NULL
                source.values = counts.shape[0] // 4
            elif source.width:
                source.values = values.shape[0] // source.width
                if values.shape[0] % source.width:
                    raise FormatError(f"stream '{self.names[k]}' does not hold whole values")
            else:
                source.values = values.shape[0]
                if held is streams[self.names[k]]:
                    self.open_words(source, streams[self.names[k] + ".values"], self.names[k])
        return 0

    cdef object holders(self, Py_ssize_t number):
        """The records that have a tag: array('I')."""
        holders = new_array("I")
        cdef uint32_t layout
        cdef Py_ssize_t i, k
        for i in range(len(self.layout)):
            layout = self.layout.data.as_uints[i]
            for k in range(self.layout_start[layout], self.layout_start[layout + 1]):
                if self.layouts[k] == number:
                    holders.append(i)
        return holders

    cdef object spelled(self, Py_ssize_t number, streams, spell):
        """The texts of MM, each with its NUL."""
        name = self.names[number]
        return spell(plain_texts(streams, name), streams[name + ".listed"], self.holders(number))

    def texts_of(self, streams, relate, str tag):
        """The texts of a tag of type Z, each with its NUL, and the records that have them; None if no record does."""
        name = f"tag.{tag}:Z"
        if name not in self.names:
            return None
        holders = self.holders(self.names.index(name))
        if len(streams[name + ".like"]):
            return relate(name, holders), holders
        return plain_texts(streams, name), holders

    cdef int open_words(self, Source *source, held, stream) except -1:
        """Locate the texts of a dictionary, if there is one."""
        cdef const uint8_t[::1] words = held
        cdef uint32_t at = 0
        if not words.shape[0]:
            return 0
        self.held.append(held)
        if words[words.shape[0] - 1] or words.shape[0] > 1 << 30:
            raise FormatError(f"stream '{stream}.values' does not end with a complete text")
        source.words = &words[0]
        source.word_start = <uint32_t *> malloc((255 + 1) * sizeof(uint32_t))
        if source.word_start == NULL:
            raise MemoryError("not enough memory for the tags of a row group")
        while at < words.shape[0]:
            if source.known == 255:
                raise FormatError(f"stream '{stream}.values' has more than 255 texts")
            source.word_start[source.known] = at
            source.known += 1
            at += <uint32_t> strlen(<const char *> &words[at]) + 1
        source.word_start[source.known] = at
        return 0

    cdef uint8_t *put(
        self, Buffer out, uint8_t *p, Py_ssize_t record, const uint32_t *cigar, uint32_t operations
    ) except NULL nogil:
        """Write the tags of the next record at p, the end of the bytes of ``out``; returns their end. ``cigar`` is the
        real CIGAR for a CG tag, or NULL."""
        cdef uint32_t layout = self.layout.data.as_uints[record]
        cdef uint32_t k = self.layout_start[layout], last = self.layout_start[layout + 1]
        cdef size_t after = NUMBERS * <size_t> (last - k) + 4
        cdef Source *source
        cdef uint8_t *end
        p = out.room(p, after)
        while k < last:
            source = &self.sources[self.layouts[k]]
            if is_cigar(source.key):
                end = NULL
                if cigar != NULL:
                    p = out.room(p, 8 + 4 * <size_t> operations + after)
                    memcpy(p, b"CGBI", 4)
                    memcpy(p + 4, &operations, 4)
                    memcpy(p + 8, cigar, 4 * <size_t> operations)
                    end = p + 8 + 4 * <size_t> operations
            else:
                end = self.put_value(out, p, after, source, record)
            if end == NULL:
                with gil:
                    raise FormatError(
                        f"stream '{self.names[self.layouts[k]]}' has no value for record {record + 1} of the row group"
                    )
            p = end
            after -= NUMBERS
            k += 1
        return p

    cdef uint8_t *put_value(self, Buffer out, uint8_t *p, size_t after, Source *source, Py_ssize_t record) except? NULL nogil:
        """Write one tag with its next value at p, the end of the bytes of ``out``, which has room for ``after`` bytes,
        12 or more. Returns the end of the tag, after which there is room for 8 bytes less; NULL if the stream has no
        more values."""
        cdef uint32_t key = source.key & ~<uint32_t> DERIVED
        cdef const uint8_t *text
        cdef const uint8_t *nul
        cdef int64_t length, readable
        memcpy(p, &key, 4)  # the last byte is the type of an array's elements; otherwise the value overwrites it
        if source.key & DERIVED:
            return self.derived.put(key, record, out, p + 3, after - NUMBERS)
        if source.width and key_kind(key) != b"B":
            if source.used == source.values:
                return NULL
            source.used += 1
            text = source.at
            source.at += source.width
            if source.width == 1:
                p[3] = text[0]
            elif source.width == 2:
                memcpy(p + 3, text, 2)  # the size is constant, so nothing is called
            else:
                memcpy(p + 3, text, 4)
            return p + 3 + source.width
        if source.width:
            return put_array(out, p + 4, after - NUMBERS, source)
        if source.at == source.end:
            return NULL
        if source.words != NULL:
            if source.at[0] >= source.known:
                return NULL
            text = source.words + source.word_start[source.at[0]]
            length = source.word_start[source.at[0] + 1] - source.word_start[source.at[0]]
            readable = source.word_start[source.known] - source.word_start[source.at[0]]
            source.at += 1
        else:
            text = source.at
            nul = <const uint8_t *> memchr(text, 0, source.end - text)
            if nul == NULL:
                return NULL
            length = nul + 1 - text
            readable = source.end - text
            source.at += length
        p = out.room(p + 3, length + 15 + after - NUMBERS)
        copy_short(p, text, length, readable)
        return p + length

    cdef bint put_only(self, Buffer out, Source *source, Py_ssize_t record) except -1 nogil:
        """Replace the contents of ``out`` by one tag with its next value; returns False if there are no more values."""
        cdef uint8_t *end
        out.size = 0
        end = self.put_value(out, out.room(out.data, NUMBERS + 4), NUMBERS + 4, source, record)
        if end == NULL:
            return False
        out.size = end - out.data
        return True

    def values(self, str name):
        """The value of the first tag ``name`` of every record, as a list of length n: int, float, str, bytes (an array
        in BAM encoding: subtype, number of elements, elements), or None if the record lacks the tag."""
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
                if not self.put_only(tag, &self.sources[self.layouts[k]], i):
                    raise FormatError(f"stream '{self.names[self.layouts[k]]}' has no value for record {i + 1}")
                if value is None:
                    value = parse_value(tag)
            found.append(value)
        return found


cdef uint8_t *put_array(Buffer out, uint8_t *p, size_t after, Source *source) except? NULL nogil:
    """Write the length and the elements of the next array at p, the end of the bytes of ``out``. Returns their end,
    after which there is room for ``after`` bytes; NULL if the streams have no more arrays."""
    cdef int64_t length
    if source.used == source.values:
        return NULL
    length = <int64_t> load_u32(source.counts + 4 * source.used) * source.width
    if length > source.end - source.at:
        return NULL
    p = out.room(p, 4 + length + after)
    memcpy(p, source.counts + 4 * source.used, 4)
    if length:
        memcpy(p + 4, source.at, length)
    source.used += 1
    source.at += length
    return p + 4 + length


cdef object parse_value(Buffer tag):
    """The value of the only tag in a buffer, as a Python object."""
    cdef int kind = tag.data[2]
    cdef const uint8_t *value = tag.data + 3
    cdef float number
    if kind == b"Z" or kind == b"H":
        return (<char *> value)[:tag.size - 4].decode("utf-8", "surrogateescape")
    if kind == b"A":
        return chr(value[0])
    if kind == b"f":
        memcpy(&number, value, sizeof(number))
        return number
    if kind == b"B":
        return (<char *> value)[:tag.size - 3]
    return integer_at(kind, value)
