"""Assembles columns into BAM records."""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from bams3.bam.fields cimport REF_SKIP, SOFT_CLIP
from bams3.buffer cimport Buffer, copy_short
from bams3.codec.tags cimport Tags

from bams3.errors import FormatError
from bams3.bam.records import RecordBlock

cdef extern from "bams3/crc32.h" nogil:
    void crc_init()
    uint32_t crc_after(uint32_t crc, const uint8_t *p, size_t size)

crc_init()

cdef array.array INT64 = new_array("q")

cdef enum:
    CACHED = 1 << 15  # bytes that are checksummed at a time, while they are in the cache
    MAX_RESERVED = 1 << 26  # the most bytes that are allocated only because a footer says that they are needed
    SPARE = 1 << 14  # bytes after the records, for room that is reserved and then not needed
    FIXED = 36  # bytes before the name, including block_size


cdef inline void store(uint8_t *p, int32_t value) noexcept nogil:
    memcpy(p, &value, 4)


cdef inline void store_u16(uint8_t *p, uint16_t value) noexcept nogil:
    memcpy(p, &value, 2)


def assemble(
    int64_t total_size, int32_t reference_id, const int32_t[::1] pos, const uint8_t[::1] mapq, const uint16_t[::1] bins,
    const uint16_t[::1] flag, const int32_t[::1] l_seq, const int32_t[::1] next_ref,
    const int32_t[::1] next_pos, const int32_t[::1] tlen, names, cigars, const uint32_t[::1] placeholders,
    const uint8_t[::1] seq, const uint8_t[::1] qual, Tags tags, bint exact=True,
):
    """Assemble the n records of a row group from its columns.

    Parameters
    ----------
    total_size
        The size of the records in bytes; if not ``exact``, an upper bound.
    reference_id
        The refID of all records.
    pos, …, tags
        Columns as the fields' ``decode`` returns them.
    exact
        Whether the records must have ``total_size`` bytes.

    Returns
    -------
    tuple
        A RecordBlock, and the CRC-32 of its bytes.

    Raises
    ------
    FormatError
        If the columns do not add up to ``total_size``.
    """
    cdef const uint8_t[::1] name = names[0]
    cdef const int64_t[::1] name_offset = names[1]
    cdef const uint32_t[::1] start = cigars.start, count = cigars.count, pool = cigars.pool
    cdef const int32_t[::1] reference_length = cigars.reference_length
    cdef Py_ssize_t n = pos.shape[0], i, marked = 0
    cdef Buffer out = Buffer(min(total_size, MAX_RESERVED) + SPARE)
    cdef array.array offsets_array = array.clone(INT64, n + 1, False)
    cdef int64_t[::1] offsets = offsets_array
    cdef int64_t seq_at = 0, qual_at = 0, seq_size, size
    cdef uint32_t name_size, operations, stand_in[2], crc = 0xFFFFFFFF
    cdef size_t summed = 0
    cdef const uint32_t *on_disk
    cdef const uint32_t *real
    cdef uint8_t *r
    cdef int problem = 0
    with nogil:
        for i in range(n):
            offsets[i] = <int64_t> out.size
            name_size = <uint32_t> (name_offset[i + 1] - name_offset[i])
            operations = count[i]
            real = on_disk = &pool[start[i]] if operations else NULL
            if marked < placeholders.shape[0] and placeholders[marked] == i:
                marked += 1
                if l_seq[i] >= 1 << 28 or reference_length[i] >= 1 << 28:
                    problem = 1
                    break
                stand_in[0] = <uint32_t> l_seq[i] << 4 | SOFT_CLIP
                stand_in[1] = <uint32_t> reference_length[i] << 4 | REF_SKIP
                on_disk = stand_in
                operations = 2
            elif operations > 65535:
                problem = 1
                break
            else:
                real = NULL
            seq_size = (<int64_t> l_seq[i] + 1) // 2
            if seq_size > seq.shape[0] - seq_at or l_seq[i] > qual.shape[0] - qual_at:
                problem = 2
                break
            r = out.room(out.data + out.size, FIXED + name_size + 16 + 4 * <size_t> operations + seq_size + l_seq[i])
            store(r + 4, reference_id)
            store(r + 8, pos[i])
            r[12] = <uint8_t> (name_size + 1)
            r[13] = mapq[i]
            store_u16(r + 14, bins[i])
            store_u16(r + 16, <uint16_t> operations)
            store_u16(r + 18, flag[i])
            store(r + 20, l_seq[i])
            store(r + 24, next_ref[i])
            store(r + 28, next_pos[i])
            store(r + 32, tlen[i])
            r += FIXED
            if name_size:
                copy_short(r, &name[name_offset[i]], name_size, name.shape[0] - name_offset[i])
            r[name_size] = 0
            r += name_size + 1
            if operations:
                memcpy(r, on_disk, 4 * operations)
                r += 4 * operations
            if l_seq[i]:
                memcpy(r, &seq[seq_at], seq_size)
                memcpy(r + seq_size, &qual[qual_at], l_seq[i])
                r += seq_size + l_seq[i]
                seq_at += seq_size
                qual_at += l_seq[i]
            out.size = tags.put(out, r, i, real, count[i]) - out.data
            size = <int64_t> out.size - offsets[i] - 4
            if size > 0x7FFFFFFF or <int64_t> out.size > total_size:
                problem = 3
                break
            store(out.data + offsets[i], <int32_t> size)
            while out.size - summed >= CACHED:
                crc = crc_after(crc, out.data + summed, CACHED)
                summed += CACHED
        offsets[n] = <int64_t> out.size
        if summed < out.size:
            crc = crc_after(crc, out.data + summed, out.size - summed)
    if problem:
        what = ["", "its CIGAR has too many operations", "too few bases or qualities", "it exceeds the size in the footer"]
        raise FormatError(f"record {i + 1} of the row group cannot be rebuilt: {what[problem]}")
    if exact and <int64_t> out.size != total_size:
        raise FormatError(f"the records have {out.size} bytes instead of the {total_size} given in the footer")
    return RecordBlock(out, offsets_array), ~crc


def renumbered(block, const int32_t[::1] reference_ids, const int32_t[::1] next_ref):
    """A copy of a RecordBlock of n records with new refIDs and next_refIDs, each of shape (n,)."""
    cdef const int64_t[::1] offsets = block.offsets
    cdef const uint8_t[::1] data = block.data
    cdef int64_t first = offsets[0]
    cdef Py_ssize_t n = next_ref.shape[0], i
    cdef Buffer out = Buffer(offsets[n] - first)
    cdef array.array shifted_array = array.clone(INT64, n + 1, False)
    cdef int64_t[::1] shifted = shifted_array
    if not offsets.shape[0] - 1 == n == reference_ids.shape[0]:
        raise ValueError("reference_ids and next_ref must have an entry for each record")
    with nogil:
        out.size = offsets[n] - first
        if n:
            memcpy(out.data, &data[first], out.size)
        for i in range(n):
            shifted[i] = offsets[i] - first
            store(out.data + shifted[i] + 4, reference_ids[i])
            store(out.data + shifted[i] + 24, next_ref[i])
        shifted[n] = offsets[n] - first
    return RecordBlock(out, shifted_array)
