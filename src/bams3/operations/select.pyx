"""Which records of a row group are wanted: kernels over its columns, and the copying of what they select.

A mask is a bytearray with 1 for each record that is still wanted and 0 for the others. Each kernel clears
what its own column rules out, so that only the columns a query needs are ever decoded.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from bams3.buffer cimport Buffer

from array import array

from bams3.sources.records import RecordBlock


cdef int same_length(Py_ssize_t mask, Py_ssize_t column) except -1:
    if mask != column:
        raise ValueError(f"a mask of {mask} records does not fit a column of {column}")
    return 0


def keep_overlapping(uint8_t[::1] mask not None, const int32_t[::1] pos not None,
                     const int32_t[::1] end not None, intervals):
    """Clear the records that overlap none of ``intervals``: as samtools view, pos < end of one and end > its start.

    ``pos``, ``end``: int32, 0-based half-open. ``intervals``: (start, end) pairs, sorted, disjoint.
    """
    cdef const int64_t[::1] starts = array("q", [start for start, _ in intervals])
    cdef const int64_t[::1] ends = array("q", [stop for _, stop in intervals])
    cdef Py_ssize_t count = starts.shape[0]
    cdef Py_ssize_t i, at = 0
    same_length(mask.shape[0], pos.shape[0])
    same_length(mask.shape[0], end.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            if i > 0 and pos[i] < pos[i - 1]:
                at = 0
            while at < count and ends[at] <= pos[i]:
                at += 1
            if at == count or starts[at] >= end[i]:
                mask[i] = 0


def count_overlapping(const uint8_t[::1] mask not None, const int32_t[::1] pos not None,
                      const int32_t[::1] end not None, int64_t start, int64_t stop):
    """How many of the records that ``mask`` keeps overlap [start, stop)."""
    cdef Py_ssize_t i, count = 0
    same_length(mask.shape[0], pos.shape[0])
    same_length(mask.shape[0], end.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            count += mask[i] & (pos[i] < stop) & (end[i] > start)
    return count


def keep_flags(uint8_t[::1] mask not None, const uint16_t[::1] flag not None, int require, int exclude):
    """Clear the records that lack a bit of ``require`` or have one of ``exclude``."""
    cdef Py_ssize_t i
    same_length(mask.shape[0], flag.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            mask[i] &= (flag[i] & require) == require and (flag[i] & exclude) == 0


def keep_mapq(uint8_t[::1] mask not None, const uint8_t[::1] mapq not None, int minimum):
    """Clear the records whose mapping quality is below ``minimum``."""
    cdef Py_ssize_t i
    same_length(mask.shape[0], mapq.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            mask[i] &= mapq[i] >= minimum


def gather(block, const uint8_t[::1] mask not None):
    """A `RecordBlock` of the records that ``mask`` keeps, in order, copied."""
    cdef const int64_t[::1] offsets = block.offsets
    cdef const uint8_t[::1] data = block.data
    cdef Py_ssize_t count = mask.shape[0]
    cdef Py_ssize_t i, kept = 0
    cdef int64_t length, total = 0
    cdef int64_t[::1] new_offsets
    cdef Buffer out
    same_length(count, offsets.shape[0] - 1)
    for i in range(count):
        if mask[i]:
            kept += 1
            total += offsets[i + 1] - offsets[i]
    chosen = array("q", bytes(8 * (kept + 1)))
    new_offsets = chosen
    out = Buffer(total)
    kept = 0
    with nogil:
        for i in range(count):
            if mask[i]:
                length = offsets[i + 1] - offsets[i]
                out.put(&data[offsets[i]], length)
                kept += 1
                new_offsets[kept] = new_offsets[kept - 1] + length
    return RecordBlock(out, chosen)
