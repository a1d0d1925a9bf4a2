"""Encodes the tags of a block as streams; ``tags`` describes the streams."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memset, strlen

from bams3.buffer cimport Buffer, Bytes, append
from bams3.codec.derived cimport DERIVED, Derived, is_derivable
from bams3.codec.primitives cimport new_table, put_short
from bams3.codec.tags cimport CG, CIGAR_KEY, KEY, MODIFICATIONS_KEY, holds_cigars, is_paced, key_kind, key_width, next_tag
from bams3.bam.fields cimport load_u32, record_end, record_tags

from bams3.codec import cigar_texts
from bams3.codec.related_tags import RELATED_TAGS
from bams3.codec.tags import stream_name
from bams3.errors import SourceError

cdef enum:
    MAX_TAGS = 65535
    SCRATCH = 256     # bytes that suffice for most derived values
    SLOTS = 512       # in the hash table of a dictionary's texts
    MAX_WORDS = 255   # in a dictionary


cdef struct Column:
    # The values of one tag and type.
    uint32_t key
    Bytes values
    Bytes counts  # type B: number of elements of each array
    Bytes holders  # MM, kinetics, moves and related texts: record of each value
    bint related   # whether the tag is one of RELATED_TAGS
    int64_t used  # number of values


cdef struct Layout:
    uint64_t hash
    size_t start  # of its keys and columns, in units of entries
    uint32_t count


cdef struct Tag:
    const uint8_t *value
    int64_t length


cdef inline uint64_t mix(uint64_t h, uint64_t word) noexcept nogil:
    h = (h ^ word) * <uint64_t> 0xFF51AFD7ED558CCD
    return h ^ (h >> 32)


cdef class TagEncoder:
    """Splits the tags of a block by name and type; `streams` is the result."""

    cdef readonly dict streams
    cdef Column *columns
    cdef size_t known_columns
    cdef Bytes layouts          # one Layout each
    cdef Bytes keys, numbers    # of all layouts: the keys (uint32_t); their columns (int32_t; -1: no values)
    cdef Bytes key, tag         # of the current record: uint32_t and Tag each
    cdef int32_t *table         # hash table of layouts
    cdef size_t slots
    cdef Derived derived
    cdef Buffer scratch

    def __cinit__(self):
        self.columns = NULL
        self.table = NULL
        memset(&self.layouts, 0, sizeof(Bytes))
        memset(&self.keys, 0, sizeof(Bytes))
        memset(&self.numbers, 0, sizeof(Bytes))
        memset(&self.key, 0, sizeof(Bytes))
        memset(&self.tag, 0, sizeof(Bytes))

    def __dealloc__(self):
        cdef size_t k
        for k in range(self.known_columns):
            free(self.columns[k].values.data)
            free(self.columns[k].counts.data)
            free(self.columns[k].holders.data)
        free(self.columns)
        free(self.table)
        for data in (<size_t> self.layouts.data, <size_t> self.keys.data, <size_t> self.numbers.data,
                     <size_t> self.key.data, <size_t> self.tag.data):
            free(<void *> <size_t> data)

    def __init__(self, block, const uint32_t[::1] placeholders, Derived derived not None, unspell=None, pace=None, relate=None):
        """Encode the tags of a block.

        Parameters
        ----------
        placeholders
            Ascending indices of the records whose CIGAR is in CG.
        derived
            The `Derived` of the block.
        unspell
            ``unspell(texts, holders)`` returns the results of `modifications.encode` for MM; None: MM stays text.
        pace
            ``pace(tag, elements, counts, holders)`` returns the streams of kinetics or moves, by the endings of their
            names; None: they are stored like other arrays.
        relate
            ``relate(tag, texts)`` returns the streams of a tag of RELATED_TAGS, by the endings of their names; None:
            these tags are stored like other texts.

        Raises
        ------
        SourceError
            For a record with more than 65,535 tags.
        """
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t n = offsets.shape[0] - 1, i, marked = 0
        cdef Buffer layout = Buffer(n), layout_long = Buffer(width=4)
        cdef size_t known
        cdef int64_t number = -1
        cdef bint placeholder
        self.derived = derived
        self.scratch = Buffer(SCRATCH)
        self.grow_table(32)
        with nogil:
            for i in range(n):
                placeholder = marked < placeholders.shape[0] and placeholders[marked] == i
                marked += placeholder
                self.read_keys(&data[offsets[i]], i, placeholder)
                if self.key.size > KEY * MAX_TAGS:
                    break
                known = self.layouts.size // sizeof(Layout)
                number = self.find_layout(number)
                put_short(layout, layout_long, <uint32_t> number + 1 if <size_t> number < known else 0)
                self.put_values(&(<Layout *> self.layouts.data)[number], <uint32_t> i)
        if self.key.size > KEY * MAX_TAGS:
            raise SourceError(
                f"record {i + 1} of the row group has {self.key.size // KEY} tags; the limit is {MAX_TAGS}"
            )
        self.streams = {
            "tag.layout": layout, "tag.layout.long": layout_long, "tag.layouts": self.definitions(),
        } | self.values(unspell, pace, relate)

    cdef int read_keys(self, const uint8_t *r, Py_ssize_t record, bint placeholder) except -1 nogil:
        """Read the layout of a record into `key`, and the locations of its values into `tag`."""
        cdef const uint8_t *p = record_tags(r)
        cdef const uint8_t *end = record_end(r)
        cdef Tag tag
        cdef uint32_t key
        self.key.size = self.tag.size = 0
        while p < end:
            key = next_tag(p, &tag.value, &tag.length, &p)
            if placeholder and key & 0xFFFF == CG:
                key = CIGAR_KEY
                placeholder = False
            elif is_derivable(key) and self.is_derived(key, record, &tag):
                key |= DERIVED
            append(&self.key, &key, sizeof(key))
            append(&self.tag, &tag, sizeof(tag))
        return 0

    cdef int is_derived(self, uint32_t key, Py_ssize_t record, const Tag *tag) except -1 nogil:
        cdef uint8_t *end = self.derived.put(key, record, self.scratch, self.scratch.data, SCRATCH)
        return (
            end != NULL and <int64_t> (end - self.scratch.data) == tag.length
            and memcmp(self.scratch.data, tag.value, tag.length) == 0
        )

    cdef int grow_table(self, size_t entries) except -1 nogil:
        """Make room for a number of layouts."""
        cdef Layout *layouts = <Layout *> self.layouts.data
        cdef size_t k, slot, slots
        cdef int32_t *table = new_table(entries, &slots)
        if table == NULL:
            with gil:
                raise MemoryError("not enough memory for the tags of a row group")
        free(self.table)
        self.table = table
        self.slots = slots
        for k in range(self.layouts.size // sizeof(Layout)):
            slot = layouts[k].hash & (slots - 1)
            while table[slot] >= 0:
                slot = (slot + 1) & (slots - 1)
            table[slot] = <int32_t> k
        return 0

    cdef bint is_layout(self, const Layout *layout) noexcept nogil:
        """Whether it is the layout of the current record."""
        return (
            self.key.size == KEY * layout.count
            and (not layout.count or memcmp(self.key.data, self.keys.data + KEY * layout.start, self.key.size) == 0)
        )

    cdef int64_t find_layout(self, int64_t previous) except -1 nogil:
        """Number of the layout of the current record, which is added if it is new.

        ``previous`` is the layout of the previous record; most records have the same.
        """
        cdef const Layout *layouts = <const Layout *> self.layouts.data
        cdef uint64_t h = self.key.size
        cdef size_t k, slot
        cdef Layout layout
        if previous >= 0 and self.is_layout(&layouts[previous]):
            return previous
        for k in range(self.key.size // KEY):
            h = mix(h, load_u32(self.key.data + KEY * k))
        slot = h & (self.slots - 1)
        while self.table[slot] >= 0:
            if layouts[self.table[slot]].hash == h and self.is_layout(&layouts[self.table[slot]]):
                return self.table[slot]
            slot = (slot + 1) & (self.slots - 1)
        layout.hash = h
        layout.start = self.keys.size // KEY
        layout.count = <uint32_t> (self.key.size // KEY)
        k = self.layouts.size // sizeof(Layout)
        self.table[slot] = <int32_t> k
        append(&self.keys, self.key.data, self.key.size)
        self.number_columns()
        append(&self.layouts, &layout, sizeof(layout))
        if 2 * k > self.slots:
            self.grow_table(2 * self.slots)
        return <int64_t> k

    cdef int number_columns(self) except -1 nogil:
        """Assign a column to every tag of the new layout in `key`."""
        cdef size_t k
        cdef uint32_t key
        cdef int32_t number, none = -1
        cdef Column *columns
        for k in range(self.key.size // KEY):
            key = load_u32(self.key.data + KEY * k)
            if key == CIGAR_KEY or key & DERIVED:
                append(&self.numbers, &none, sizeof(int32_t))
                continue
            number = 0
            while number < <int32_t> self.known_columns and self.columns[number].key != key:
                number += 1
            if number == <int32_t> self.known_columns:
                columns = <Column *> realloc(self.columns, (number + 1) * sizeof(Column))
                if columns == NULL:
                    with gil:
                        raise MemoryError("not enough memory for the tags of a row group")
                self.columns = columns
                memset(&columns[number], 0, sizeof(Column))
                columns[number].key = key
                with gil:
                    columns[number].related = key >> 16 == b"Z" and stream_name(key)[4:6] in RELATED_TAGS
                self.known_columns += 1
            append(&self.numbers, &number, sizeof(int32_t))
        return 0

    cdef int put_values(self, const Layout *layout, uint32_t record) except -1 nogil:
        """Append the values of the current record to their columns."""
        cdef const int32_t *numbers = <const int32_t *> self.numbers.data + layout.start
        cdef const Tag *tags = <const Tag *> self.tag.data
        cdef Column *column
        cdef uint32_t k
        for k in range(layout.count):
            if numbers[k] < 0:
                continue
            column = &self.columns[numbers[k]]
            if key_kind(column.key) == b"B":
                append(&column.counts, tags[k].value - 4, 4)
            if column.related or column.key == MODIFICATIONS_KEY or is_paced(column.key):
                append(&column.holders, &record, sizeof(record))
            append(&column.values, tags[k].value, tags[k].length)
            column.used += 1
        return 0

    cdef Buffer definitions(self):
        """The stream that defines the layouts."""
        cdef Buffer out = Buffer()
        cdef const Layout *layouts = <const Layout *> self.layouts.data
        cdef size_t k
        for k in range(self.layouts.size // sizeof(Layout)):
            out.put_u16(<uint16_t> layouts[k].count)
            out.put(self.keys.data + KEY * layouts[k].start, KEY * layouts[k].count)
        return out

    cdef dict values(self, unspell, pace, relate):
        """The streams of the columns."""
        cdef dict streams = {}
        cdef dict related = {}  # by tag: texts, holders, and the streams that are independent of other tags
        cdef Column *column
        cdef size_t k
        cdef Buffer words, indices
        for k in range(self.known_columns):
            column = &self.columns[k]
            name = stream_name(column.key)
            if column.key == MODIFICATIONS_KEY and unspell is not None:
                heads, listed = unspell(Buffer.taking(&column.values, 1), Buffer.taking(&column.holders, 4))
                streams[name + ".listed"] = listed
                append_all(&column.values, heads)
            if key_kind(column.key) == b"B":
                indices = Buffer.taking(&column.counts, 4)
                if is_paced(column.key) and pace is not None:
                    words = Buffer.taking(&column.values, key_width(column.key))
                    paced = pace(name[4:6], words, indices, Buffer.taking(&column.holders, 4))
                    streams |= {name + suffix: stream for suffix, stream in paced.items()}
                    continue
                streams[name + ".count"] = indices
            elif not key_width(column.key):
                words, indices = Buffer(), Buffer()
                repeated = to_words(column, words, indices)
                if column.related and relate is not None:
                    texts = Buffer.taking(&column.values, 1)
                    plain = {"": indices, ".values": words} if repeated else {"": texts}
                    related[name[4:6]] = texts, Buffer.taking(&column.holders, 4), plain
                    continue
                if repeated:
                    streams[name] = indices
                    streams[name + ".values"] = words
                    continue
                if holds_cigars(column.key):
                    words = Buffer.taking(&column.values, 1)
                    parts = cigar_texts.encode(words) or (words,)
                    streams |= zip([name + suffix for suffix in cigar_texts.STREAMS], parts)
                    continue
            streams[name] = Buffer.taking(&column.values, max(1, key_width(column.key)))
        for tag in related:
            streams |= {f"tag.{tag}:Z{suffix}": stream for suffix, stream in relate(tag, related).items()}
        return streams


cdef int append_all(Bytes *values, const uint8_t[::1] data) except -1:
    return append(values, &data[0], data.shape[0])


cdef int to_words(const Column *column, Buffer words, Buffer indices) except -1 nogil:
    """Encode texts with a dictionary: put distinct texts into ``words``, and the index of each text into ``indices``.

    Returns 0 if there are too many distinct texts.
    """
    cdef const uint8_t *p = column.values.data
    cdef const uint8_t *end = p + column.values.size
    cdef const uint8_t *word[256]
    cdef size_t word_length[256]
    cdef int16_t table[SLOTS]
    cdef int64_t most = min(<int64_t> MAX_WORDS, column.used // 2)
    cdef int64_t known = 0, last = -1
    cdef size_t length, k
    cdef uint64_t h
    memset(table, 255, sizeof(table))
    while p < end:
        length = strlen(<const char *> p) + 1
        if last < 0 or word_length[last] != length or memcmp(word[last], p, length):
            h = length
            for k in range(length):
                h = mix(h, p[k])
            k = h & (SLOTS - 1)
            while table[k] >= 0 and (word_length[table[k]] != length or memcmp(word[table[k]], p, length)):
                k = (k + 1) & (SLOTS - 1)
            if table[k] < 0:
                if known == most:
                    return 0
                table[k] = <int16_t> known
                word[known] = p
                word_length[known] = length
                known += 1
                words.put(p, length)
            last = table[k]
        indices.put_u8(<uint8_t> last)
        p += length
    return 1
