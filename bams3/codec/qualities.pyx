"""QUAL.

``qual``: the qualities of all records, back to back (missing ones are 0xFF, as in BAM). Where the
row group has 16 distinct values or fewer, ``qual.values`` lists them in ascending order and ``qual``
holds indices of 1, 2 or 4 bits each (the fewest that do), the first in the lowest bits.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from bams3.buffer cimport Buffer
from bams3.sources.fields cimport record_l_seq, record_qual

from bams3.errors import FormatError


cdef inline int bits_for(int values) noexcept nogil:
    return 1 if values <= 2 else 2 if values <= 4 else 4


cdef void pack(const uint8_t *codes, size_t count, int bits, uint8_t *out) noexcept nogil:
    """Indices of ``bits`` bits each, ``8 // bits`` a byte."""
    cdef size_t whole = count * bits // 8, i
    cdef int k, left
    if bits == 4:
        for i in range(whole):
            out[i] = codes[2 * i] | codes[2 * i + 1] << 4
    elif bits == 2:
        for i in range(whole):
            out[i] = codes[4 * i] | codes[4 * i + 1] << 2 | codes[4 * i + 2] << 4 | codes[4 * i + 3] << 6
    else:
        for i in range(whole):
            out[i] = 0
            for k in range(8):
                out[i] |= codes[8 * i + k] << k
    left = <int> (count - whole * 8 // bits)
    if left:
        out[whole] = 0
        for k in range(left):
            out[whole] |= codes[whole * 8 // bits + k] << (bits * k)


def encode(block):
    """Streams of QUAL of a block."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef Buffer qual = Buffer(152 * n), values = Buffer(), packed
    cdef uint8_t seen[256]
    cdef uint8_t code_of[256]
    cdef const uint8_t *r
    cdef size_t k
    cdef int bits
    memset(seen, 0, 256)
    with nogil:
        for i in range(n):
            r = &data[offsets[i]]
            qual.put(record_qual(r), record_l_seq(r))
        for k in range(qual.size):
            seen[qual.data[k]] = 1
    for k in range(256):
        if seen[k]:
            code_of[k] = <uint8_t> values.size
            values.put_u8(<uint8_t> k)
    if not 0 < values.size <= 16:
        return {"qual": qual}
    bits = bits_for(<int> values.size)
    packed = Buffer(qual.size * bits // 8 + 1)
    with nogil:
        for k in range(qual.size):
            qual.data[k] = code_of[qual.data[k]]
        packed.size = (qual.size * bits + 7) // 8
        pack(qual.data, qual.size, bits, packed.data)
    return {"qual": packed, "qual.values": values}


def decode(const uint8_t[::1] stream, const uint8_t[::1] values, int64_t count):
    """``count`` qualities of all records, back to back: bytes-like."""
    cdef int known = <int> values.shape[0], bits, k
    cdef Buffer qual
    cdef int64_t i
    cdef uint8_t table[256]
    cdef uint8_t mask
    cdef const uint8_t *source = &stream[0] if stream.shape[0] else NULL
    if known > 16:
        raise FormatError("stream 'qual.values' has more than 16 values")
    bits = bits_for(known) if known else 8
    if stream.shape[0] != (count * bits + 7) // 8:
        raise FormatError("stream 'qual' does not fit the lengths of the row group's reads")
    qual = Buffer(count + 8)
    qual.size = count
    if not known:
        if count:
            memcpy(qual.data, source, count)
        return qual
    mask = <uint8_t> ((1 << bits) - 1)
    for k in range(1 << bits):
        table[k] = values[k] if k < known else values[0]
    with nogil:
        for i in range(count):
            qual.data[i] = table[(source[i * bits >> 3] >> (i * bits & 7)) & mask]
    return qual
