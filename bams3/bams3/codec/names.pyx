"""QNAME of the records that are the first of their name in the row group.

Links give the names of the other records (see ``templates``). A name is a *pattern* plus the values of
the pattern's *slots* (see ``patterns``). ``name.pattern`` has a u8 for each name: 0 if the name is stored verbatim,
terminated by NUL, in ``name``; k if it has the k-th pattern. This stream is omitted if there are no patterns, or if
there is only one and all names have it. The j-th slot of every pattern takes its value from the *column* ``name.<j>``.

``name.patterns`` has the number of columns (u8), the coding of each (see ``columns``), and the patterns, each ended by
NUL.

Slots that take few values become part of the pattern, so for Illumina names, only tile and coordinates are stored as
values. The idea that patterns of tokens repeat is from CRAM 3.1's name tokeniser.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from bams3.buffer cimport Buffer, copy_short
from bams3.codec.columns cimport (
    HASH, REPEATS, Column, Distinct, find, next_value, open_column, put_column,
)
from bams3.codec.patterns cimport (
    FIRST_LITERAL, LONGEST_NAME, LONGEST_VALUE, MOST_SLOTS, cut_name, is_slot, put_value,
)
from bams3.bam.fields cimport record_name, record_name_length

from bams3.errors import FormatError

cdef array.array INT64 = new_array("q")

cdef enum:
    MOST_SHAPES = 64
    MOST_PATTERNS = 255
    MOST_FOLDED = 64    # patterns that the slots of a shape may expand to
    PATIENCE = 256      # parsing stops after this many names without a shape, if they are the majority
    STREAM_COST = 16    # bytes that a stream costs
    NAME_GAIN = 3       # bytes that a pattern saves per name (measured)


cdef struct Shape:  # names that differ only in the values of slots
    uint8_t text[LONGEST_NAME]
    int length
    int slots
    uint32_t names
    uint32_t folded              # bit s: slot s is part of the pattern
    Distinct seen[MOST_SLOTS]

cdef struct Pattern:
    int shape
    uint32_t values[MOST_SLOTS]  # of the slots that are part of the pattern; 0 for the others


cdef class ParsedNames:
    """The names of a block, each once, parsed into patterns and values."""

    cdef const uint8_t[::1] data
    cdef const int64_t[::1] offsets
    cdef const int32_t[::1] previous
    cdef Buffer shapes, shape_of, values, patterns, pattern_of, plain, columns, texts
    cdef int shape_count, pattern_count, column_count
    cdef Py_ssize_t cut, uncut, matched
    cdef uint32_t used[MOST_SLOTS]
    cdef uint8_t table[4 * (MOST_PATTERNS + 1)]

    def __cinit__(self, block, const int32_t[::1] previous):
        self.data, self.offsets, self.previous = block.data, block.offsets, previous
        self.shapes, self.shape_of, self.values = Buffer(), Buffer(previous.shape[0]), Buffer(12 * previous.shape[0])
        self.patterns, self.pattern_of, self.plain = Buffer(), Buffer(previous.shape[0]), Buffer()
        self.columns, self.texts = Buffer(), Buffer()

    cdef int cut_all(self) except -1 nogil:
        """Parse names into shapes and values; stop when it is clear that most have no common shape."""
        cdef Py_ssize_t i
        cdef const uint8_t *r
        for i in range(self.previous.shape[0]):
            if self.previous[i] < 0:
                r = &self.data[self.offsets[i]]
                self.add(record_name(r), record_name_length(r) - 1)
                if self.uncut > PATIENCE and self.uncut > self.cut:
                    break
        return 0

    cdef int add(self, const uint8_t *name, int length) except -1 nogil:
        cdef uint8_t text[LONGEST_NAME]
        cdef uint32_t value[MOST_SLOTS]
        cdef int slots = 0, size = cut_name(name, length, text, value, &slots), k
        cdef uint8_t s = 0
        cdef Shape *shape = <Shape *> self.shapes.data
        while s < self.shape_count and (shape.length != size or memcmp(shape.text, text, size)):
            shape += 1
            s += 1
        if size < 0 or s == MOST_SHAPES:
            self.uncut += 1
            return self.shape_of.put_u8(MOST_SHAPES)
        if s == self.shape_count:
            self.shapes.reserve(sizeof(Shape))
            self.shapes.size += sizeof(Shape)
            shape = <Shape *> self.shapes.data + s
            memset(shape, 0, sizeof(Shape))
            memcpy(shape.text, text, size)
            shape.length, shape.slots = size, slots
            self.shape_count += 1
        self.cut += 1
        shape.names += 1
        for k in range(slots):
            find(&shape.seen[k], value[k])
        self.values.put(value, slots * sizeof(uint32_t))
        return self.shape_of.put_u8(s)

    cdef void fold(self) noexcept nogil:
        """Choose the slots that become part of the pattern: those with few values, as long as the number of
        combinations stays small."""
        cdef Shape *shape = <Shape *> self.shapes.data
        cdef int s, k, product, kept
        for s in range(self.shape_count):
            product, kept = 1, 0
            for k in range(shape[s].slots):
                if shape[s].seen[k].count == 1 or (
                    shape[s].seen[k].count * product <= MOST_FOLDED
                    and <uint32_t> shape[s].seen[k].count * REPEATS <= shape[s].names
                ):
                    product *= shape[s].seen[k].count
                    shape[s].folded |= 1u << k
                else:
                    kept += 1
            self.column_count = max(self.column_count, kept)

    cdef int assign(self) except -1 nogil:
        """Assign patterns to names, and values to columns."""
        cdef Py_ssize_t i, at = 0
        cdef const uint8_t *r
        cdef const uint32_t *value = <const uint32_t *> self.values.data
        cdef uint32_t *column
        cdef Shape *shape
        cdef int k, c
        cdef uint8_t pattern
        self.fold()
        self.columns.reserve(self.column_count * self.cut * sizeof(uint32_t))
        column = <uint32_t *> self.columns.data
        for i in range(self.previous.shape[0]):
            if self.previous[i] >= 0:
                continue
            pattern = 0
            if self.shape_of.data[at] < MOST_SHAPES:
                shape = <Shape *> self.shapes.data + self.shape_of.data[at]
                pattern = self.pattern(self.shape_of.data[at], shape, value)
                c = 0
                for k in range(shape.slots if pattern else 0):
                    if not shape.folded >> k & 1:
                        column[c * self.cut + self.used[c]] = value[k]
                        self.used[c] += 1
                        c += 1
                value += shape.slots
            if pattern == 0:
                r = &self.data[self.offsets[i]]
                self.plain.put(record_name(r), record_name_length(r))
            self.pattern_of.put_u8(pattern)
            self.matched += pattern != 0
            at += 1
        return 0

    cdef int pattern(self, int s, const Shape *shape, const uint32_t *value) except -1 nogil:
        """The number of a name's pattern, which is added if it is new; 0 if there are too many patterns."""
        cdef Pattern wanted
        cdef Pattern *patterns = <Pattern *> self.patterns.data
        cdef uint32_t at = s * <uint32_t> HASH
        cdef int k
        memset(&wanted, 0, sizeof(Pattern))
        wanted.shape = s
        for k in range(shape.slots):
            if shape.folded >> k & 1:
                wanted.values[k] = value[k]
                at = (at ^ value[k]) * <uint32_t> HASH
        at >>= 22
        while self.table[at]:
            if memcmp(&patterns[self.table[at] - 1], &wanted, sizeof(Pattern)) == 0:
                return self.table[at]
            at = (at + 1) % sizeof(self.table)
        if self.pattern_count == MOST_PATTERNS:
            return 0
        self.patterns.put(&wanted, sizeof(Pattern))
        self.pattern_count += 1
        self.table[at] = <uint8_t> self.pattern_count
        self.write_pattern(shape, value)
        return self.pattern_count

    cdef int write_pattern(self, const Shape *shape, const uint32_t *value) except -1 nogil:
        cdef int k = 0, at
        self.texts.reserve(LONGEST_NAME + LONGEST_VALUE)
        for at in range(shape.length):
            if is_slot(shape.text[at]):
                k += 1
                if shape.folded >> (k - 1) & 1:
                    self.texts.size += put_value(shape.text[at], value[k - 1], self.texts.data + self.texts.size)
                    continue
            self.texts.put_u8(shape.text[at])
        return self.texts.put_u8(0)

    cdef bint pay(self) noexcept nogil:
        """Whether patterns are estimated to be smaller than verbatim names."""
        cdef int64_t gain = NAME_GAIN * self.matched
        return gain > STREAM_COST * (self.column_count + 2) + <int64_t> self.texts.size // 2


def encode(block, const int32_t[::1] previous):
    """Streams of the names of a block."""
    cdef ParsedNames names = ParsedNames(block, previous)
    cdef Buffer head = Buffer(), column
    cdef int c
    with nogil:
        names.cut_all()
        if names.cut > names.uncut:
            names.assign()
    if not names.pay():
        return {"name": plain_names(block, previous)}
    streams = {"name": names.plain}
    head.put_u8(names.column_count)
    for c in range(names.column_count):
        column = Buffer(4 * names.used[c])
        with nogil:
            put_column(<uint32_t *> names.columns.data + c * names.cut, names.used[c], head, column)
        streams[f"name.{c}"] = column
    head.put(names.texts.data, names.texts.size)
    streams["name.patterns"] = head
    if names.plain.size or names.pattern_count > 1:
        streams["name.pattern"] = names.pattern_of
    return streams


cdef Buffer plain_names(block, const int32_t[::1] previous):
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = previous.shape[0], i
    cdef Buffer names = Buffer(16 * n)
    cdef const uint8_t *r
    with nogil:
        for i in range(n):
            if previous[i] < 0:
                r = &data[offsets[i]]
                names.put(record_name(r), record_name_length(r))
    return names


cdef struct Step:            # of a pattern: text, then a slot (0: the pattern ends)
    const uint8_t *text
    int length
    int column
    uint8_t slot


cdef class Patterns:
    """``name.patterns`` and the columns, validated."""

    cdef Column columns[MOST_SLOTS]
    cdef int column_count, pattern_count
    cdef Buffer steps, texts
    cdef Py_ssize_t first[MOST_PATTERNS]  # first step of each pattern
    cdef object held

    def __init__(self, streams):
        cdef const uint8_t[::1] head = streams["name.patterns"], column
        cdef Py_ssize_t at = 1
        cdef int c
        self.steps, self.texts = Buffer(), Buffer(head.shape[0] + 15)
        self.held = []
        if head.shape[0] == 0:
            return
        self.column_count = head[0]
        if self.column_count > MOST_SLOTS:
            raise damaged(f"has {head[0]} columns")
        for c in range(self.column_count):
            column = streams[f"name.{c}"]
            self.held.append(column)
            at = open_column(&self.columns[c], head, at, column)
            if at < 0:
                raise damaged(f"has no valid coding for column {c}")
        self.compile(head, at)

    cdef int compile(self, const uint8_t[::1] head, Py_ssize_t at) except -1:
        """Parse the patterns at ``head[at]`` into steps."""
        cdef Step step
        cdef const uint8_t *text = self.texts.data
        cdef Py_ssize_t start
        cdef int column
        self.texts.put(&head[0], head.shape[0])
        while at < head.shape[0]:
            if self.pattern_count == MOST_PATTERNS:
                raise damaged("has too many patterns")
            self.first[self.pattern_count] = self.steps.size // sizeof(Step)
            self.pattern_count += 1
            start, column = at, 0
            step.slot = 1
            while step.slot:
                step.text = text + at
                while at < head.shape[0] and head[at] >= FIRST_LITERAL:
                    at += 1
                if at == head.shape[0] or at - start > LONGEST_NAME:
                    raise damaged("has an unterminated pattern")
                step.length, step.slot, step.column = text + at - step.text, head[at], column
                if step.slot and (not is_slot(step.slot) or column == self.column_count):
                    raise damaged("has a pattern with an invalid slot")
                self.steps.put(&step, sizeof(Step))
                column += 1
                at += 1
        return 0

    cdef bint put(self, uint8_t pattern, Buffer names) except -1 nogil:
        """Append the next name with a pattern to ``names``; returns False if the streams are invalid."""
        cdef const Step *step = <const Step *> self.steps.data
        cdef size_t start = names.size
        cdef uint32_t value = 0
        if pattern > self.pattern_count:
            return False
        step += self.first[pattern - 1]
        names.reserve(LONGEST_NAME * LONGEST_VALUE)
        while True:
            copy_short(names.data + names.size, step.text, step.length, step.length + 15)
            names.size += step.length
            if step.slot == 0:
                break
            if not next_value(&self.columns[step.column], &value):
                return False
            names.size += put_value(step.slot, value, names.data + names.size)
            step += 1
        return names.size - start <= LONGEST_NAME

    cdef bint ended(self) noexcept nogil:
        """Whether all columns have been read to their ends."""
        cdef int c
        for c in range(self.column_count):
            if self.columns[c].at < self.columns[c].end:
                return False
        return True


def damaged(what):
    return FormatError(f"stream 'name.patterns' {what}")


def decode(streams, const int32_t[::1] previous):
    """Names of all records, concatenated without NUL, and array('q') of n + 1 offsets into them."""
    cdef const uint8_t[::1] plain = streams["name"], pattern_of = streams["name.pattern"]
    cdef Patterns patterns = Patterns(streams)
    cdef Py_ssize_t n = previous.shape[0], i, used = 0
    cdef Buffer names = Buffer(32 * n)
    cdef array.array offsets_array = array.clone(INT64, n + 1, False)
    cdef int64_t[::1] offsets = offsets_array
    cdef const uint8_t *at = &plain[0] if plain.shape[0] else NULL
    cdef const uint8_t *end = at + plain.shape[0]
    cdef const uint8_t *nul
    cdef int64_t length
    cdef uint8_t pattern
    cdef uint8_t usual = 1 if patterns.pattern_count and pattern_of.shape[0] == 0 else 0
    cdef bint whole = True
    with nogil:
        for i in range(n):
            offsets[i] = <int64_t> names.size
            if previous[i] >= 0:
                length = offsets[previous[i] + 1] - offsets[previous[i]]
                names.reserve(length + 15)
                copy_short(names.data + names.size, names.data + offsets[previous[i]], length, length + 15)
                names.size += length
                continue
            pattern = usual
            if pattern_of.shape[0]:
                whole = used < pattern_of.shape[0]
                pattern = pattern_of[used] if whole else 0
                used += 1
            if pattern:
                whole = whole and patterns.put(pattern, names)
            else:
                nul = <const uint8_t *> memchr(at, 0, end - at) if at < end else NULL
                whole = whole and nul != NULL and nul - at <= LONGEST_NAME
                if whole:
                    names.put(at, nul - at)
                    at = nul + 1
            if not whole:
                break
        offsets[n] = <int64_t> names.size
    if not whole:
        raise FormatError(f"the 'name' streams have no valid name for record {i + 1} of the row group")
    if at < end or used < pattern_of.shape[0] or not patterns.ended():
        raise FormatError("the 'name' streams have more names than the row group has records")
    return names, offsets_array
