"""Selection of records in a row group: kernels over its columns, and copies of selected records.

A mask is a bytearray with 1 for each record that is still selected and 0 for the others. Each kernel clears the
records that its column excludes, so only the columns that a query needs have to be decoded.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from bams3.buffer cimport Buffer

from array import array

from bams3.bam.records import RecordBlock


cdef int same_length(Py_ssize_t mask, Py_ssize_t column) except -1:
    if mask != column:
        raise ValueError(f"a mask of {mask} records does not fit a column of {column}")
    return 0


cdef Py_ssize_t first_above(const int64_t[::1] values, int64_t least) noexcept nogil:
    """Return the index of the first sorted value that is at least ``least``."""
    cdef Py_ssize_t low = 0, high = values.shape[0], middle
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


def keep_overlapping(uint8_t[::1] mask not None, const int32_t[::1] pos not None,
                     const int32_t[::1] end not None, const int64_t[::1] starts not None,
                     const int64_t[::1] ends not None):
    """Clear the records that overlap no interval. As in samtools view, overlap means pos < its end and end > its start.

    ``pos``, ``end``: of the records, int32, 0-based and half-open. ``starts``, ``ends``: of the intervals, int64,
    sorted and disjoint.
    """
    cdef Py_ssize_t count = starts.shape[0]
    cdef Py_ssize_t i, at = 0
    same_length(mask.shape[0], pos.shape[0])
    same_length(mask.shape[0], end.shape[0])
    same_length(count, ends.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            if i > 0 and pos[i] < pos[i - 1]:
                at = first_above(ends, <int64_t> pos[i] + 1)
            while at < count and ends[at] <= pos[i]:
                at += 1
            if at == count or starts[at] >= end[i]:
                mask[i] = 0


def spread(const uint8_t[::1] mask not None, const int32_t[::1] pos not None, const int32_t[::1] end not None,
           const int64_t[::1] starts not None, const int64_t[::1] ends not None,
           int64_t[::1] begun not None, int64_t[::1] ended not None):
    """Count the records that ``mask`` keeps, by the first interval that they may overlap and the first one after them.

    ``ends`` and ``starts`` are sorted. ``begun[k]`` is increased for each record for which ``ends[k]`` is the first end
    greater than pos; ``ended[k]``, for each record for which ``starts[k]`` is the first start at or after its end.
    ``begun`` and ``ended`` have one element more than ``ends`` and ``starts``.
    """
    cdef Py_ssize_t i
    same_length(mask.shape[0], pos.shape[0])
    same_length(mask.shape[0], end.shape[0])
    same_length(begun.shape[0], ends.shape[0] + 1)
    same_length(ended.shape[0], starts.shape[0] + 1)
    with nogil:
        for i in range(mask.shape[0]):
            if mask[i]:
                begun[first_above(ends, <int64_t> pos[i] + 1)] += 1
                ended[first_above(starts, max(<int64_t> end[i], <int64_t> pos[i] + 1))] += 1


def add_to(int64_t[::1] totals not None, Py_ssize_t at, const int64_t[::1] numbers not None):
    """Add ``numbers`` to ``totals[at:]``."""
    cdef Py_ssize_t i
    if at < 0 or at + numbers.shape[0] > totals.shape[0]:
        raise ValueError("the numbers do not fit into the totals")
    for i in range(numbers.shape[0]):
        totals[at + i] += numbers[i]


def overlaps(const int64_t[::1] ends not None, const int64_t[::1] ordered not None,
             int64_t[::1] begun not None, int64_t[::1] ended not None,
             const int64_t[::1] rows not None, int64_t[::1] out not None):
    """Count the records that overlap each interval: those that begin before its end, minus those that end by its start.

    ``ends`` are in the order of the intervals' starts, and ``ordered`` are the same numbers, sorted. ``begun`` and
    ``ended`` are counts from `spread`; this function replaces them by their running sums. The count for interval i is
    written to ``out[rows[i]]``.
    """
    cdef Py_ssize_t i
    same_length(begun.shape[0], ends.shape[0] + 1)
    same_length(ended.shape[0], ends.shape[0] + 1)
    same_length(ordered.shape[0], ends.shape[0])
    same_length(rows.shape[0], ends.shape[0])
    for i in range(1, begun.shape[0]):
        begun[i] += begun[i - 1]
        ended[i] += ended[i - 1]
    for i in range(ends.shape[0]):
        if not 0 <= rows[i] < out.shape[0]:
            raise ValueError("a row number is out of range")
        out[rows[i]] = begun[first_above(ordered, ends[i])] - ended[i]


def keep_flags(uint8_t[::1] mask not None, const uint16_t[::1] flag not None, int require, int exclude):
    """Clear the records that lack a bit of ``require`` or have a bit of ``exclude``."""
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


def keep_fragments(uint8_t[::1] mask not None, const int32_t[::1] tlen not None, int64_t least, int64_t most):
    """Clear the records whose template is shorter than ``least`` bp or longer than ``most`` (negative: no limit)."""
    cdef Py_ssize_t i
    cdef int64_t length
    same_length(mask.shape[0], tlen.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            length = tlen[i]
            length = length if length >= 0 else -length
            mask[i] &= length >= least and (most < 0 or length <= most)


def keep_any_flag(uint8_t[::1] mask not None, const uint16_t[::1] flag not None, int any_of):
    """Clear the records that have none of the FLAG bits of ``any_of``."""
    cdef Py_ssize_t i
    same_length(mask.shape[0], flag.shape[0])
    with nogil:
        for i in range(mask.shape[0]):
            mask[i] &= (flag[i] & any_of) != 0


def kept_records(block, const uint8_t[::1] mask not None):
    """Return a `RecordBlock` with copies of the records that ``mask`` keeps, in order."""
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
