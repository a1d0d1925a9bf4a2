# Compiled with -O1: no run spends its time here.
"""Changes qualities of records, and drops some of their tags and the records of some read groups."""

from cpython cimport array
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset, strcmp, strlen

from bams3.bam.fields cimport load_u32, next_tag, record_end, record_l_seq, record_qual, record_tags
import array

from bams3.bam.records import RecordBlock

cdef array.array INT64 = array.array("q")


cdef class Dropped:
    """Which tags are dropped, by name: those in `dropped` and, if `kept` is not empty, all except those in `kept` and
    CG, which holds CIGARs. Names have two bytes each, without separators."""

    cdef uint8_t[1 << 16] has

    def __cinit__(self, const uint8_t[::1] dropped, const uint8_t[::1] kept):
        if dropped.shape[0] % 2 or kept.shape[0] % 2:
            raise ValueError("a name of a tag has two bytes")
        memset(self.has, kept.shape[0] > 0, 1 << 16)
        if kept.shape[0]:
            self.mark(kept, 0)
            self.mark(b"CG", 0)
        self.mark(dropped, 1)

    cdef void mark(self, const uint8_t[::1] names, uint8_t value) noexcept:
        cdef Py_ssize_t i
        for i in range(0, names.shape[0], 2):
            self.has[names[i] << 8 | names[i + 1]] = value


cdef bint is_of(const uint8_t *record, const char *groups, const char *groups_end) noexcept nogil:
    """Whether a validated record's RG, of type Z, is one of `groups`, each of which ends with NUL."""
    cdef const uint8_t *tag = record_tags(record)
    cdef const uint8_t *end = record_end(record)
    cdef const char *group
    while tag < end:
        if tag[0] == c"R" and tag[1] == c"G" and tag[2] == c"Z":
            group = groups
            while group < groups_end:
                if strcmp(group, <const char *> tag + 3) == 0:
                    return True
                group += strlen(group) + 1
        tag = next_tag(tag)
    return False


cdef int64_t reduce_record(
    const uint8_t *record, const uint8_t *table, const uint8_t *dropped, uint8_t *out
) noexcept nogil:
    """Write a changed copy of a validated record; return its size."""
    cdef const uint8_t *qual = record_qual(record)
    cdef const uint8_t *tag = record_tags(record)
    cdef const uint8_t *end = record_end(record)
    cdef const uint8_t *after
    cdef int64_t i, size = qual - record, l_seq = record_l_seq(record)
    cdef uint32_t block_size
    memcpy(out, record, size)
    for i in range(l_seq):
        out[size + i] = table[qual[i]]
    size += l_seq
    while tag < end:
        after = next_tag(tag)
        if not dropped[tag[0] << 8 | tag[1]]:
            memcpy(out + size, tag, after - tag)
            size += after - tag
        tag = after
    block_size = <uint32_t> (size - 4)
    memcpy(out, &block_size, 4)
    return size


def reduced(
    block, const uint8_t[::1] table not None, const uint8_t[::1] dropped not None, const uint8_t[::1] kept=b"",
    read_groups=(),
):
    """Return changed copies of a block's records.

    Parameters
    ----------
    block
        A RecordBlock.
    table
        256 bytes: the quality that replaces each quality.
    dropped
        Names of the tags that are dropped, two bytes each, without separators.
    kept
        If not empty, names of the only tags that are kept, apart from CG.
    read_groups
        IDs (bytes) of read groups whose records are dropped.
    """
    if table.shape[0] != 256:
        raise ValueError("the table must have 256 qualities")
    cdef Dropped names = Dropped(dropped, kept)
    cdef bytes joined = b"".join([name + b"\0" for name in read_groups])
    cdef const char *groups = joined
    cdef const char *groups_end = groups + len(joined)
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t i, count = len(block), at = 0, left = 0
    cdef array.array new = array.clone(INT64, count + 1, zero=True)
    cdef int64_t *ends = <int64_t *> new.data.as_longlongs
    cdef bytearray out = bytearray(offsets[count] - offsets[0])
    cdef uint8_t *to = <uint8_t *> <char *> out
    if count:
        with nogil:
            for i in range(count):
                if groups < groups_end and is_of(&data[offsets[i]], groups, groups_end):
                    continue
                at += reduce_record(&data[offsets[i]], &table[0], names.has, to + at)
                left += 1
                ends[left] = at
    del out[at:]
    del new[left + 1:]
    return RecordBlock(out, new)
