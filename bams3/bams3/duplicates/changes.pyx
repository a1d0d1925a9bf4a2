"""Records whose duplicates are marked: copies with other FLAGs, or without some of the records or tags."""

from cpython cimport array
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from bams3.bam.fields cimport DUP, next_tag, record_end, record_flag, record_tags
import array

from bams3.bam.records import RecordBlock

cdef array.array INT64 = array.array("q")


def changed(block, const uint8_t[::1] marks not None, *, bint remove=False, bint clear=False):
    """Return a block whose duplicates have FLAG 0x400; the block itself if nothing changes.

    `marks`: a byte for each record, as `Marker` returns them. `remove`: leave duplicates out. `clear`: forget what the
    FLAGs and the tags do and dt said before.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t i, count = len(block)
    cdef int64_t kept = 0, at = 0
    cdef uint16_t flag, before
    cdef array.array new
    cdef int64_t *ends
    cdef bytes out  # it may be longer than the records
    cdef uint8_t *to
    if marks.shape[0] != count:
        raise ValueError(f"{marks.shape[0]} marks for {count} records")
    for i in range(count):
        if marks[i] or ((remove or clear) and record_flag(&data[offsets[i]]) & DUP):
            break
    else:
        return block
    new = array.clone(INT64, count + 1, zero=True)
    ends = <int64_t *> new.data.as_longlongs
    out = PyBytes_FromStringAndSize(NULL, offsets[count] - offsets[0])
    to = <uint8_t *> <char *> out
    with nogil:
        for i in range(count):
            before = record_flag(&data[offsets[i]])
            flag = (before & ~DUP if clear else before) | (DUP if marks[i] else 0)
            if remove and flag & DUP:
                continue
            if clear and before & DUP:
                at += without_tags(&data[offsets[i]], to + at)
            else:
                memcpy(to + at, &data[offsets[i]], offsets[i + 1] - offsets[i])
                at += offsets[i + 1] - offsets[i]
            memcpy(to + ends[kept] + 18, &flag, 2)
            kept += 1
            ends[kept] = at
    array.resize(new, kept + 1)
    return RecordBlock(out, new)


cdef int64_t without_tags(const uint8_t *record, uint8_t *out) noexcept nogil:
    """Write a copy without the first tag do and the first tag dt; return its size."""
    cdef const uint8_t *tag = record_tags(record)
    cdef const uint8_t *end = record_end(record)
    cdef const uint8_t *after
    cdef int64_t size = tag - record
    cdef uint32_t block_size
    cdef bint[2] dropped
    dropped[0] = dropped[1] = False
    memcpy(out, record, size)
    while tag < end:
        after = next_tag(tag)
        if tag[0] == c"d" and (tag[1] == c"o" or tag[1] == c"t") and not dropped[tag[1] == c"t"]:
            dropped[tag[1] == c"t"] = True
        else:
            memcpy(out + size, tag, after - tag)
            size += after - tag
        tag = after
    block_size = <uint32_t> (size - 4)
    memcpy(out, &block_size, 4)
    return size
