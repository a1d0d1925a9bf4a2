"""FLAG and MAPQ.

``flag``: an index into ``flag.values`` (distinct FLAGs, u16, in order of first appearance), one byte
a record; with more than 256 distinct FLAGs, the FLAGs themselves as u16 and no ``flag.values``.
``mapq``: one byte a record.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from bams3.buffer cimport Buffer
from bams3.sources.fields cimport load_u16, record_flag, record_mapq

from bams3.errors import FormatError

cdef array.array UINT16 = new_array("H")
cdef array.array UINT8 = new_array("B")


def encode(block):
    """Streams of FLAG and MAPQ of a block."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef Buffer indices = Buffer(n), values = Buffer(width=2), plain, mapq = Buffer(n)
    cdef int16_t code_of[65536]
    cdef int known = 0
    cdef uint16_t flag
    memset(code_of, 255, sizeof(code_of))
    with nogil:
        for i in range(n):
            mapq.put_u8(record_mapq(&data[offsets[i]]))
        for i in range(n):
            flag = record_flag(&data[offsets[i]])
            if code_of[flag] < 0:
                if known == 256:
                    known = -1
                    break
                code_of[flag] = known
                known += 1
                values.put_u16(flag)
            indices.put_u8(<uint8_t> code_of[flag])
    if known >= 0:
        return {"flag": indices, "flag.values": values, "mapq": mapq}
    plain = Buffer(2 * n, width=2)
    with nogil:
        for i in range(n):
            plain.put_u16(record_flag(&data[offsets[i]]))
    return {"flag": plain, "mapq": mapq}


def decode(const uint8_t[::1] stream, const uint8_t[::1] values, Py_ssize_t n):
    """FLAG of n records: array('H')."""
    cdef array.array flags = array.clone(UINT16, n, False)
    cdef uint16_t[::1] out = flags
    cdef uint16_t table[256]
    cdef Py_ssize_t known = values.shape[0] // 2, i
    cdef uint8_t highest = 0
    if stream.shape[0] != (n if known else 2 * n) or known > 256 or values.shape[0] % 2:
        raise FormatError("stream 'flag' does not fit the row group's record count")
    if n == 0:
        return flags
    if not known:
        memcpy(&out[0], &stream[0], 2 * n)
        return flags
    for i in range(known):
        table[i] = load_u16(&values[2 * i])
    with nogil:
        for i in range(n):
            if stream[i] > highest:
                highest = stream[i]
        if highest < known:
            for i in range(n):
                out[i] = table[stream[i]]
    if highest >= known:
        raise FormatError(f"stream 'flag' names value {highest} of {known}")
    return flags


def decode_mapq(const uint8_t[::1] stream, Py_ssize_t n):
    """MAPQ of n records: array('B')."""
    cdef array.array mapq = array.clone(UINT8, n, False)
    cdef uint8_t[::1] out = mapq
    if stream.shape[0] != n:
        raise FormatError("stream 'mapq' does not fit the row group's record count")
    if n:
        memcpy(&out[0], &stream[0], n)
    return mapq
