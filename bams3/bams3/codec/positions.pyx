"""POS and bin.

``pos`` has the differences from the previous record's POS (the first: from 0), zigzag, as short integers. ``bin`` has
pairs of u32 (record index, bin) for the records whose bin is not ``reg2bin(pos, end)``.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport (
    ShortCursor, difference, get_short, open_short, put_short, total, unzigzag, zigzag,
)
from bams3.bam.bins cimport reg2bin
from bams3.bam.fields cimport load_u32, look_ahead, record_bin, record_pos

from bams3.errors import FormatError

cdef array.array INT32 = new_array("i")
cdef array.array UINT16 = new_array("H")


def encode(block, const int32_t[::1] end):
    """Streams of POS and bin of a block, and POS, array('i'). ``end`` as computed by ``cigars``, shape (n,)."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef array.array column = array.clone(INT32, n, False)
    cdef int32_t[::1] out = column
    cdef Buffer pos = Buffer(n), escaped = Buffer(width=4), bins = Buffer(width=8)
    cdef const uint8_t *r
    cdef int32_t previous = 0, here
    with nogil:
        for i in range(n):
            look_ahead(&data[0], &offsets[0], i, n)
            r = &data[offsets[i]]
            here = out[i] = record_pos(r)
            put_short(pos, escaped, zigzag(difference(here, previous)))
            previous = here
            if record_bin(r) != reg2bin(here, end[i]):
                bins.put_u32(<uint32_t> i)
                bins.put_u32(record_bin(r))
    return {"pos": pos, "pos.long": escaped, "bin": bins}, column


def decode(const uint8_t[::1] stream, const uint8_t[::1] escaped, Py_ssize_t n):
    """POS of n records: array('i'), 0-based."""
    cdef array.array pos = array.clone(INT32, n, False)
    cdef int32_t[::1] out = pos
    cdef ShortCursor cursor
    cdef Py_ssize_t i
    cdef int32_t here = 0
    cdef uint32_t value = 0
    cdef bint whole = True
    open_short(&cursor, stream, escaped)
    with nogil:
        for i in range(n):
            if not get_short(&cursor, &value):
                whole = False
                break
            here = total(here, unzigzag(value))
            out[i] = here
    if not whole:
        raise FormatError("stream 'pos' is shorter than the row group's record count")
    return pos


def decode_bins(const uint8_t[::1] stream, const int32_t[::1] pos, const int32_t[::1] end):
    """bin of every record: array('H')."""
    cdef Py_ssize_t n = pos.shape[0], i
    cdef array.array bins = array.clone(UINT16, n, False)
    cdef uint16_t[::1] out = bins
    cdef uint32_t index
    with nogil:
        for i in range(n):
            out[i] = reg2bin(pos[i], end[i])
    if stream.shape[0] % 8:
        raise FormatError("stream 'bin' does not hold whole (index, bin) pairs")
    for i in range(0, stream.shape[0], 8):
        index = load_u32(&stream[i])
        if index >= n:
            raise FormatError(f"stream 'bin' refers to record {index} of {n}")
        out[index] = <uint16_t> load_u32(&stream[i + 4])
    return bins
