"""QNAME.

``name``: the names of the records that are the first of their name in the row group, each ended by
NUL, in order. The others take theirs from the record that ``link`` (see ``templates``) leads to.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr, memcpy

from bams3.buffer cimport Buffer
from bams3.sources.fields cimport record_name, record_name_length

from bams3.errors import FormatError

cdef array.array INT64 = new_array("q")


def encode(block, const int32_t[::1] previous):
    """Stream of the names of a block."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef Buffer names = Buffer(16 * n)
    cdef const uint8_t *r
    with nogil:
        for i in range(n):
            if previous[i] < 0:
                r = &data[offsets[i]]
                names.put(record_name(r), record_name_length(r))
    return {"name": names}


def decode(const uint8_t[::1] stream, const int32_t[::1] previous):
    """Names of all records, without NUL, back to back; and array('q') of n + 1 offsets into them."""
    cdef Py_ssize_t n = previous.shape[0], i
    cdef Buffer names = Buffer(2 * stream.shape[0])
    cdef array.array offsets_array = array.clone(INT64, n + 1, False)
    cdef int64_t[::1] offsets = offsets_array
    cdef const uint8_t *at = &stream[0] if stream.shape[0] else NULL
    cdef const uint8_t *end = at + stream.shape[0]
    cdef const uint8_t *nul
    cdef int64_t length
    cdef bint whole = True
    with nogil:
        for i in range(n):
            offsets[i] = <int64_t> names.size
            if previous[i] >= 0:
                length = offsets[previous[i] + 1] - offsets[previous[i]]
                names.reserve(length)
                memcpy(names.data + names.size, names.data + offsets[previous[i]], length)
                names.size += length
                continue
            nul = <const uint8_t *> memchr(at, 0, end - at) if at < end else NULL
            if nul == NULL or nul - at > 254:
                whole = False
                break
            names.put(at, nul - at)
            at = nul + 1
        offsets[n] = <int64_t> names.size
    if not whole:
        raise FormatError(f"stream 'name' has no valid name for record {i + 1} of the row group")
    return names, offsets_array
