"""SEQ and its length.

``seq.length``: l_seq less the bases that the CIGAR says the read has, zigzag, short integers.
``seq``: the packed bases of all records as BAM has them, two a byte, ``(l_seq + 1) // 2`` bytes each.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport (
    Cursor, difference, get_short, open_cursor, put_short, total, unzigzag, zigzag,
)
from bams3.sources.fields cimport record_l_seq, record_seq

from bams3.errors import FormatError

cdef array.array INT32 = new_array("i")


def encode(block, const int32_t[::1] query_length):
    """Streams of SEQ of a block; ``query_length`` as ``cigars`` computes it, shape (n,)."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef Buffer length = Buffer(n), length_long = Buffer(width=4), seq = Buffer(76 * n)
    cdef const uint8_t *r
    with nogil:
        for i in range(n):
            r = &data[offsets[i]]
            put_short(length, length_long, zigzag(difference(record_l_seq(r), query_length[i])))
            seq.put(record_seq(r), (<size_t> record_l_seq(r) + 1) // 2)
    return {"seq.length": length, "seq.length.long": length_long, "seq": seq}


def decode_lengths(const uint8_t[::1] stream, const uint8_t[::1] escaped, const int32_t[::1] query_length):
    """l_seq of every record: array('i'), each ≥ 0."""
    cdef Py_ssize_t n = query_length.shape[0], i
    cdef array.array lengths = array.clone(INT32, n, False)
    cdef int32_t[::1] out = lengths
    cdef Cursor main, longs
    cdef uint32_t value = 0
    cdef bint whole = True
    open_cursor(&main, stream)
    open_cursor(&longs, escaped)
    with nogil:
        for i in range(n):
            if not get_short(&main, &longs, &value):
                whole = False
                break
            out[i] = total(query_length[i], unzigzag(value))
            if out[i] < 0:
                whole = False
                break
    if not whole:
        raise FormatError(f"stream 'seq.length' has no valid length for record {i + 1} of the row group")
    return lengths
