# Compiled with -O1: no run spends its time here.
"""Records for a temporary file, with sequences and qualities separated, because that compresses better and faster."""

from cpython cimport array
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from bams3.bam.fields cimport load_u32, record_cigar_count, record_l_seq, record_name_length

import array

from bams3.bam.records import RecordBlock

cdef array.array INT64 = array.array("q")

cdef enum:
    FIXED = 36  # bytes of a record before its name, including block_size


cdef struct Lengths:
    int64_t head       # everything before the sequence
    int64_t sequence
    int64_t qualities
    int64_t tags


cdef inline Lengths lengths_of(const uint8_t *record) noexcept nogil:
    """Return the lengths in bytes of the parts of a record."""
    cdef Lengths lengths
    lengths.head = FIXED + record_name_length(record) + 4 * <int64_t> record_cigar_count(record)
    lengths.qualities = record_l_seq(record)
    lengths.sequence = (lengths.qualities + 1) // 2
    lengths.tags = 4 + <int64_t> load_u32(record) - lengths.head - lengths.sequence - lengths.qualities
    return lengths


cdef inline uint8_t *copied(uint8_t *to, const uint8_t *source, int64_t size) noexcept nogil:
    memcpy(to, source, size)
    return to + size


def split(block not None):
    """Split the records of a validated block into three bytes objects: sequences, qualities, and everything else."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t count = offsets.shape[0] - 1, i, sequences = 0, qualities = 0
    cdef const uint8_t *record
    cdef Lengths lengths
    cdef bytes sequence, quality, other
    cdef uint8_t *s
    cdef uint8_t *q
    cdef uint8_t *o
    with nogil:
        for i in range(count):
            lengths = lengths_of(&data[offsets[i]])
            sequences += lengths.sequence
            qualities += lengths.qualities
    sequence = PyBytes_FromStringAndSize(NULL, sequences)
    quality = PyBytes_FromStringAndSize(NULL, qualities)
    other = PyBytes_FromStringAndSize(NULL, offsets[count] - offsets[0] - sequences - qualities)
    s, q, o = <uint8_t *> <char *> sequence, <uint8_t *> <char *> quality, <uint8_t *> <char *> other
    with nogil:
        for i in range(count):
            record = &data[offsets[i]]
            lengths = lengths_of(record)
            o = copied(o, record, lengths.head)
            s = copied(s, record + lengths.head, lengths.sequence)
            q = copied(q, record + lengths.head + lengths.sequence, lengths.qualities)
            o = copied(o, record + lengths.head + lengths.sequence + lengths.qualities, lengths.tags)
    return sequence, quality, other


def joined(
    const uint8_t[::1] sequences not None, const uint8_t[::1] qualities not None, const uint8_t[::1] others not None
):
    """Join the results of `split`. Raises ValueError if the lengths in the records do not match the data."""
    cdef int64_t at = 0, s = 0, q = 0, count = 0, i
    cdef const uint8_t *o
    cdef Lengths lengths
    cdef array.array offsets = array.clone(INT64, others.shape[0] // FIXED + 1, zero=False)
    cdef int64_t *ends = <int64_t *> offsets.data.as_longlongs
    cdef bytes data
    cdef uint8_t *out
    ends[0] = 0
    with nogil:
        while others.shape[0] - at >= FIXED:
            lengths = lengths_of(&others[at])
            at += lengths.head + lengths.tags
            s += lengths.sequence
            q += lengths.qualities
            if lengths.qualities < 0 or lengths.tags < 0 or at > others.shape[0]:
                at = -1
                break
            count += 1
            ends[count] = at + s + q
    if (at, s, q) != (others.shape[0], sequences.shape[0], qualities.shape[0]):
        raise ValueError("lengths of records do not agree")
    array.resize(offsets, count + 1)
    ends = <int64_t *> offsets.data.as_longlongs
    data = PyBytes_FromStringAndSize(NULL, ends[count])
    out = <uint8_t *> <char *> data
    at = s = q = 0
    with nogil:
        for i in range(count):
            lengths = lengths_of(&others[at])
            out = copied(out, &others[at], lengths.head)
            if lengths.qualities:
                out = copied(out, &sequences[s], lengths.sequence)
                out = copied(out, &qualities[q], lengths.qualities)
            if lengths.tags:
                out = copied(out, &others[at + lengths.head], lengths.tags)
            at += lengths.head + lengths.tags
            s += lengths.sequence
            q += lengths.qualities
    return RecordBlock(data, offsets)
