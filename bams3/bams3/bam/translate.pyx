# Compiled with -O1: no run spends its time here.
"""Replaces ids in records by those of another header: of references, read group (tag RG) and program (tag PG)."""

from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from bams3.bam.fields cimport load_u32, next_tag, record_end, record_name, record_next_ref, record_ref, record_tags
import array

from bams3.bam.records import RecordBlock

cdef array.array INT64 = array.array("q")

cdef enum:
    SAME = -1
    DROPPED = -2


cdef struct Name:
    const uint8_t *old
    const uint8_t *new
    int64_t old_size  # without the final NUL, like new_size
    int64_t new_size
    bint changes


cdef struct Change:
    const uint8_t *tag  # the tag in the record; NULL: there is none, and a new one is added at the end
    const Name *name    # the new value; NULL: the tag is removed


cdef class RenamedValues:
    """The new values of a tag, by its old values."""

    cdef Name *names
    cdef int64_t count, longest
    cdef object held

    def __cinit__(self, renamed):
        self.held = list(renamed.items())  # keeps the bytes alive that the pointers below point to
        self.count = len(self.held)
        self.names = <Name *> calloc(self.count + 1, sizeof(Name))
        if self.names == NULL:
            raise MemoryError
        for i, (old, new) in enumerate(self.held):
            self.names[i] = Name(
                <const uint8_t *> PyBytes_AS_STRING(old), <const uint8_t *> PyBytes_AS_STRING(new),
                PyBytes_GET_SIZE(old), PyBytes_GET_SIZE(new), old != new,
            )
            self.longest = max(self.longest, self.names[i].new_size)

    def __dealloc__(self):
        free(self.names)

    cdef const Name *find(self, const uint8_t *value, int64_t size, int64_t *last) noexcept nogil:
        """The entry of a value, or NULL. `last` is the index of the entry that was found before, and is updated."""
        cdef int64_t i, at = last[0]
        for i in range(self.count):
            if self.names[at].old_size == size and memcmp(self.names[at].old, value, size) == 0:
                last[0] = at
                return &self.names[at]
            at = at + 1 if at + 1 < self.count else 0
        return NULL


cdef inline const uint8_t *first_tag(const uint8_t *p, const uint8_t *end, uint8_t first) noexcept nogil:
    """The first tag whose name is the letter `first` and G, or NULL."""
    while p < end:
        if p[0] == first and p[1] == b"G":
            return p
        p = next_tag(p)
    return NULL


cdef class Translator:
    """Applies a `Translation` to records. Thread-safe.

    Tags keep their order. A tag is dropped if the header of the input does not define its value; `lost` then maps its
    name and value to the name of the first such read.
    """

    cdef RenamedValues read_groups, programs, every
    cdef array.array references
    cdef readonly dict lost

    def __init__(self, translation):
        self.references = translation.references
        self.read_groups, self.programs = RenamedValues(translation.read_groups), RenamedValues(translation.programs)
        self.every = None if translation.read_group is None else RenamedValues({b"": translation.read_group})
        self.lost = {}

    def translated(self, block):
        """Return the records of a block with the new ids; it is the same block if nothing changes."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef int64_t count = len(block), at = 0, i, changes = 0
        cdef int32_t n_ref = len(self.references)
        cdef const int32_t *references = <const int32_t *> self.references.data.as_ints
        cdef int64_t last[2]
        cdef Change *found
        cdef array.array new
        cdef int64_t *ends
        cdef bytearray out
        cdef uint8_t *to
        if not count:
            return block
        last[0] = last[1] = 0
        found = <Change *> malloc(2 * count * sizeof(Change))
        if found == NULL:
            raise MemoryError
        try:
            with nogil:
                for i in range(count):
                    changes += self.look(&data[offsets[i]], references, n_ref, found + 2 * i, last)
            if changes == 0:
                return block
            new = array.clone(INT64, count + 1, zero=True)
            ends = <int64_t *> new.data.as_longlongs
            out = bytearray(offsets[count] - offsets[0] + count * self.growth())
            to = <uint8_t *> <char *> out
            with nogil:
                for i in range(count):
                    at += written(&data[offsets[i]], references, n_ref, found + 2 * i, to + at)
                    ends[i + 1] = at
            del out[at:]
            return RecordBlock(out, new)
        finally:
            free(found)

    cdef int64_t growth(self):
        """The most bytes that a record may grow by: two tags with their names, types and NULs."""
        cdef int64_t longest = self.read_groups.longest + self.programs.longest + 8
        return longest if self.every is None else max(longest, self.every.longest + self.programs.longest + 8)

    cdef int64_t look(
        self, const uint8_t *record, const int32_t *references, int32_t n_ref, Change *changes, int64_t *last
    ) noexcept nogil:
        """Find the changes of a record; returns whether there are any."""
        cdef const uint8_t *tags = record_tags(record)
        cdef const uint8_t *end = record_end(record)
        cdef int32_t ref = record_ref(record), mate = record_next_ref(record)
        cdef bint changed = (0 <= ref < n_ref and references[ref] != ref) or (0 <= mate < n_ref and references[mate] != mate)
        changes[0] = Change(first_tag(tags, end, b"R"), NULL)
        changes[1] = Change(first_tag(tags, end, b"P"), NULL)
        if self.every is not None:
            changes[0].name = &self.every.names[0]
            changed = True
        elif changes[0].tag != NULL:
            changed |= self.looked_up(record, self.read_groups, &changes[0], &last[0], end)
        if changes[1].tag != NULL:
            changed |= self.looked_up(record, self.programs, &changes[1], &last[1], end)
        return changed

    cdef bint looked_up(
        self, const uint8_t *record, RenamedValues names, Change *change, int64_t *last, const uint8_t *end
    ) noexcept nogil:
        """Find the new value of a tag; returns whether it changes."""
        cdef const uint8_t *value = change.tag + 3
        cdef int64_t size = next_tag(change.tag) - value - 1
        if change.tag[2] != b"Z":  # it is not an id
            change.tag = NULL
            return False
        change.name = names.find(value, size, last)
        if change.name == NULL:
            with gil:
                self.lost.setdefault(
                    ("RG" if names is self.read_groups else "PG", (<const char *> value)[:size]),
                    <bytes> <const char *> record_name(record),
                )
            return True
        if not change.name.changes:
            change.tag, change.name = NULL, NULL
            return False
        return True


cdef int64_t written(
    const uint8_t *record, const int32_t *references, int32_t n_ref, const Change *changes, uint8_t *out
) noexcept nogil:
    """Write a record with its changes; return its size."""
    cdef const uint8_t *end = record_end(record)
    cdef const uint8_t *at = record
    cdef const Change *change
    cdef int64_t size = 0, i
    cdef int32_t ref
    cdef uint32_t block_size
    cdef int first = 0
    if changes[1].tag != NULL and (changes[0].tag == NULL or changes[1].tag < changes[0].tag):
        first = 1
    for i in range(2):
        change = &changes[first ^ i]
        if change.tag == NULL:
            continue
        memcpy(out + size, at, change.tag - at)
        size += change.tag - at
        at = next_tag(change.tag)
        if change.name != NULL:
            size += put_tag(out + size, first ^ i, change.name)
    memcpy(out + size, at, end - at)
    size += end - at
    if changes[0].tag == NULL and changes[0].name != NULL:
        size += put_tag(out + size, 0, changes[0].name)
    block_size = <uint32_t> (size - 4)
    memcpy(out, &block_size, 4)
    ref = record_ref(record)
    if 0 <= ref < n_ref:
        memcpy(out + 4, &references[ref], 4)
    ref = record_next_ref(record)
    if 0 <= ref < n_ref:
        memcpy(out + 24, &references[ref], 4)
    return size


cdef inline int64_t put_tag(uint8_t *out, int which, const Name *name) noexcept nogil:
    """Write a tag, RG (0) or PG (1), with a value; returns its size."""
    out[0] = b"P" if which else b"R"
    out[1] = b"G"
    out[2] = b"Z"
    memcpy(out + 3, name.new, name.new_size + 1)
    return name.new_size + 4
