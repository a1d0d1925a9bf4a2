"""FLAG and MAPQ.

``flag.values`` lists the distinct FLAGs, u16, in order of first appearance; the other streams have u8 indices into it.
``flag`` is for the records that are the first of their name in the row group. ``flag.next`` is for all others, whose
FLAG mostly follows from that of the previous record of the name (see ``templates``): 0 means that FLAG as seen from the
mate (`mirrored`), and k means the FLAG with index k - 1. If there are more than 255 distinct FLAGs, ``flag`` holds the
FLAGs of all records as u16, and there are no other streams. ``mapq`` has one byte per record.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from bams3.buffer cimport Buffer
from bams3.bam.fields cimport load_u16, look_ahead, record_flag, record_mapq

from bams3.errors import FormatError

cdef array.array UINT16 = new_array("H")
cdef array.array UINT8 = new_array("B")


cdef enum:
    MOST = 255      # distinct FLAGs that can have indices
    UNKNOWN = 255   # not an index of any FLAG


cdef inline uint16_t mirrored(uint16_t flag) noexcept nogil:
    """The FLAG with the bits of read and mate swapped: unmapped, reverse, READ1 and READ2."""
    return (flag & ~0xFC) | (flag & 0x54) << 1 | (flag & 0xA8) >> 1


def encode(block, const int32_t[::1] previous):
    """Streams of FLAG and MAPQ of a block, and FLAG, array('H'). ``previous`` as returned by `templates.encode`."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef array.array column = array.clone(UINT16, n, False)
    cdef uint16_t[::1] out = column
    cdef Buffer first = Buffer(n), following = Buffer(n), values = Buffer(width=2), plain, mapq = Buffer(n)
    cdef uint8_t index_of[65536]
    cdef int known = 0
    cdef uint16_t flag
    memset(index_of, UNKNOWN, sizeof(index_of))
    with nogil:
        for i in range(n):
            look_ahead(&data[0], &offsets[0], i, n)
            mapq.put_u8(record_mapq(&data[offsets[i]]))
            out[i] = record_flag(&data[offsets[i]])
        for i in range(n):
            flag = out[i]
            if index_of[flag] == UNKNOWN:
                if known == MOST:
                    known = MOST + 1
                    break
                index_of[flag] = <uint8_t> known
                known += 1
                values.put_u16(flag)
            if previous[i] < 0:
                first.put_u8(index_of[flag])
            elif flag == mirrored(out[previous[i]]):
                following.put_u8(0)
            else:
                following.put_u8(index_of[flag] + 1)
    if known <= MOST:
        return {"flag": first, "flag.next": following, "flag.values": values, "mapq": mapq}, column
    plain = Buffer(2 * n, width=2)
    with nogil:
        for i in range(n):
            plain.put_u16(out[i])
    return {"flag": plain, "flag.next": Buffer(), "flag.values": Buffer(), "mapq": mapq}, column


def decode(
    const uint8_t[::1] first, const uint8_t[::1] following, const uint8_t[::1] values, const int32_t[::1] previous
):
    """FLAG of every record: array('H'). Arguments: the streams 'flag', 'flag.next' and 'flag.values'."""
    cdef Py_ssize_t n = previous.shape[0], known = values.shape[0] // 2, i, k, firsts = 0, a = 0, b = 0
    cdef array.array flags = array.clone(UINT16, n, False)
    cdef array.array indices_array = array.clone(UINT8, n, False)
    cdef uint16_t[::1] out = flags
    cdef uint8_t[::1] indices = indices_array
    cdef uint16_t table[256]
    cdef uint8_t expected[256]
    cdef uint8_t index, step, highest = 0
    cdef int32_t none
    with nogil:
        for i in range(n if known else 0):
            firsts += previous[i] < 0
    if (
        first.shape[0] != (firsts if known else 2 * n) or following.shape[0] != (n - firsts if known else 0)
        or known > MOST or values.shape[0] % 2
    ):
        raise FormatError("the 'flag' streams do not match the row group's record count")
    if n == 0:
        return flags
    if not known:
        memcpy(&out[0], &first[0], 2 * n)
        return flags
    for i in range(known):
        table[i] = load_u16(&values[2 * i])
    memset(expected, UNKNOWN, sizeof(expected))
    for i in range(known):
        for k in range(known):
            if table[k] == mirrored(table[i]):
                expected[i] = <uint8_t> k
                break
    with nogil:
        for i in range(n):
            # No branch here: whether a record is the first of its name is hard to predict.
            none = previous[i] >> 31  # -1 or 0
            step = following[min(b, n - firsts - 1)] if n > firsts else 0
            index = step - 1 if step else expected[indices[previous[i] & ~none]]
            index = <uint8_t> ((first[min(a, firsts - 1)] & none) | (index & ~none))
            a -= none
            b += 1 + none
            highest = max(highest, index)
            indices[i] = index
            out[i] = table[index]
    if highest >= known:
        raise FormatError(f"the 'flag' streams refer to value {highest} of {known}")
    return flags


def decode_mapq(const uint8_t[::1] stream, Py_ssize_t n):
    """MAPQ of n records: array('B')."""
    cdef array.array mapq = array.clone(UINT8, n, False)
    cdef uint8_t[::1] out = mapq
    if stream.shape[0] != n:
        raise FormatError("stream 'mapq' does not match the row group's record count")
    if n:
        memcpy(&out[0], &stream[0], n)
    return mapq
