# Compiled with -O1: no run spends its time here.
"""Locations of the bins of each reference in a BAI or CSI index."""

from cpython cimport array
import array

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

cdef array.array UINT64 = array.array("Q")

cdef enum:  # columns of `extents`
    START, END, BINS, TOLD, METADATA, COLUMNS = METADATA + 4

WIDTH = <int> COLUMNS


cdef inline int32_t load(const uint8_t *at) noexcept nogil:
    cdef int32_t value
    memcpy(&value, at, 4)
    return value


def extents(
    const uint8_t[::1] data not None, int64_t at, Py_ssize_t references, bint csi, uint32_t pseudo_bin,
    uint64_t end_voffset,
):
    """Find the bins of each reference, from byte ``at`` on.

    `end_voffset`: virtual offset after which no record may end. Raises ValueError with the reason if the index is
    invalid.

    Returns
    -------
    array('Q'), int
        WIDTH numbers for each reference, and the offset of the byte after the last bin. The numbers are: the bytes
        [start, end) of its bins, the number of bins, and whether it has metadata; and from the metadata, the virtual
        offsets of the first record and of the end of the last one, and the numbers of mapped and unmapped records.
    """
    cdef array.array table = array.clone(UINT64, references * COLUMNS, True)
    cdef uint64_t *row = <uint64_t *> table.data.as_voidptr
    cdef int64_t size = data.shape[0], header = 16 if csi else 8, k, bins = 0, chunks = 0
    cdef Py_ssize_t i
    cdef int problem = 0
    if at < 0:
        raise ValueError("the index is truncated")
    with nogil:
        for i in range(references):
            if at + 4 > size:
                problem = 1
                break
            bins = load(&data[at])
            at += 4
            if bins < 0:
                problem = 2
                break
            row[START], row[BINS] = at, bins
            for k in range(bins):
                if at + header > size:
                    problem = 1
                    break
                chunks = load(&data[at + header - 4])
                if chunks < 0:
                    problem = 3
                    break
                at += header
                if at + 16 * chunks > size:
                    problem = 1
                    break
                if <uint32_t> load(&data[at - header]) == pseudo_bin and chunks == 2:
                    row[TOLD] = 1
                    memcpy(row + METADATA, &data[at], 32)
                at += 16 * chunks
            if problem:
                break
            if row[TOLD] and row[METADATA + 1] > end_voffset:
                problem = 4
                break
            row[END] = at
            row += COLUMNS
            if not csi:  # the linear index
                if at + 4 > size:
                    problem = 1
                    break
                chunks = load(&data[at])
                if chunks < 0:
                    problem = 2
                    break
                at += 4 + 8 * chunks
        if not problem and at > size:
            problem = 1
    if problem:
        raise ValueError(PROBLEMS[problem])
    return table, at


BEYOND = "the index points beyond the end of the BAM; it belongs to another file, or the BAM is truncated"
cdef tuple PROBLEMS = (
    "", "the index is truncated", "the index has a negative count",
    "a bin of the index has a negative number of chunks", BEYOND,
)
