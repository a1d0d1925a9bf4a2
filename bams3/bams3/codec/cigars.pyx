"""CIGAR.

Every distinct CIGAR of the row group is stored once, in order of first appearance: ``cigar.count`` has its number of
operations (short integers), ``cigar.op`` the operations (one byte each), ``cigar.length`` the lengths of M, = and X,
and ``cigar.gap`` the lengths of all other operations (both short integers). ``cigar`` holds, as short integers, 0 for a
record with the next new CIGAR, or k for a record with the k-th CIGAR. Earlier versions stored all lengths in
``cigar.length``.

BAM represents a CIGAR of more than 65,535 operations by the placeholder ``<l_seq>S<span>N``, with the operations in the
tag CG:B,I (SAM specification, 4.2.2). For such records, listed in ``cigar.placeholder`` (u32 record indices), the real
operations are stored here, and ``tags`` omits CG.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport ShortCursor, get_short, new_table, open_short, put_short
from bams3.bam.cigar cimport endpos, spans
from bams3.bam.fields cimport REF_SKIP, SOFT_CLIP, look_ahead
from bams3.bam.fields cimport (
    QUERY, REFERENCE, find_tag, is_match, load_u32, record_cigar, record_cigar_count, record_flag, record_l_seq, record_pos,
    record_ref,
)

from bams3.errors import FormatError, SourceError

cdef array.array INT32 = new_array("i")
cdef array.array UINT32 = new_array("I")

cdef enum:
    MAX_OPERATIONS = 1 << 28


cdef inline const uint8_t *find_cg(const uint8_t *r) noexcept nogil:
    """The count field of a record's first CG tag, if its type is B,I; otherwise NULL."""
    cdef const uint8_t *tag = find_tag(r, b"C", b"G")
    return tag + 4 if tag != NULL and tag[2] == b"B" and tag[3] == b"I" else NULL


cdef bint resolve(const uint8_t *r, const uint8_t **operations, int64_t *count) noexcept nogil:
    """Find a record's real CIGAR; returns True if it is in the CG tag, and CIGAR is exactly the placeholder."""
    cdef const uint8_t *tag
    cdef int64_t query = 0, reference = 0, k
    operations[0] = record_cigar(r)
    count[0] = record_cigar_count(r)
    if count[0] != 2 or load_u32(operations[0]) != ((<uint32_t> record_l_seq(r) << 4) | SOFT_CLIP):
        return False
    if load_u32(operations[0] + 4) & 15 != REF_SKIP or record_l_seq(r) >= 1 << 28:
        return False
    tag = find_cg(r)
    if tag == NULL or load_u32(tag) < 2 or record_ref(r) < 0 or record_pos(r) < 0:  # as in htslib's bam_tag2cigar
        return False
    for k in range(load_u32(tag)):
        if load_u32(tag + 4 + 4 * k) & 15 > 8:
            return False
    spans(tag + 4, load_u32(tag), &query, &reference)
    if load_u32(operations[0] + 4) >> 4 != reference:
        return False
    count[0] = load_u32(tag)
    operations[0] = tag + 4
    return True


cdef inline uint64_t hash_operations(const uint8_t *operations, int64_t count) noexcept nogil:
    cdef uint64_t h = <uint64_t> count
    cdef int64_t k
    for k in range(count):
        h = (h ^ load_u32(operations + 4 * k)) * <uint64_t> 0xFF51AFD7ED558CCD
        h ^= h >> 32
    return h


cdef struct Entry:
    uint64_t hash
    const uint8_t *operations
    int64_t count
    int64_t query
    int64_t reference
    uint32_t start  # of its operations in the pool


cdef class Cigars


cdef class CigarEncoder:
    """Encodes the CIGARs of a block and keeps what other fields need.

    Attributes
    ----------
    streams
        Name → Buffer.
    cigars
        The `Cigars` of the block.
    end
        End of each record on the reference (exclusive) as in htslib's bam_endpos, array('i').
    placeholders
        Indices of the records whose CIGAR is in CG, array('I'), ascending.
    """

    cdef readonly dict streams
    cdef readonly Cigars cigars
    cdef readonly array.array end, placeholders

    def __init__(self, block):
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t n = offsets.shape[0] - 1
        cdef Buffer index = Buffer(n), index_long = Buffer(width=4), count = Buffer(), count_long = Buffer(width=4)
        cdef Buffer op = Buffer(), placeholder = Buffer(width=4), pool = Buffer(width=4)
        cdef Buffer length = Buffer(), length_long = Buffer(width=4), gap = Buffer(), gap_long = Buffer(width=4)
        cdef Cigars cigars = Cigars.__new__(Cigars)
        cigars.allocate(n)
        self.cigars = cigars
        self.end = array.clone(INT32, n, False)
        cdef int32_t[::1] end = self.end
        cdef uint32_t[::1] starts = cigars.start, counts = cigars.count
        cdef int32_t[::1] query_length = cigars.query_length, reference_length = cigars.reference_length
        cdef Py_ssize_t i, known = 0, k, bad = -1
        cdef size_t slots, slot
        cdef int32_t *table = new_table(n, &slots)
        cdef Entry *entries = <Entry *> malloc((n + 1) * sizeof(Entry))
        cdef Entry entry
        cdef Entry *found
        cdef uint32_t operation
        cdef const uint8_t *r
        if table == NULL or entries == NULL:
            free(table)
            free(entries)
            raise MemoryError("not enough memory for the CIGARs of a row group")
        try:
            with nogil:
                for i in range(n):
                    look_ahead(&data[0], &offsets[0], i, n)
                    r = &data[offsets[i]]
                    if resolve(r, &entry.operations, &entry.count):
                        placeholder.put_u32(<uint32_t> i)
                    entry.hash = hash_operations(entry.operations, entry.count)
                    slot = entry.hash & (slots - 1)
                    while True:
                        if table[slot] < 0:
                            spans(entry.operations, entry.count, &entry.query, &entry.reference)
                            entry.start = <uint32_t> (pool.size // 4)
                            table[slot] = <int32_t> known
                            entries[known] = entry
                            found = &entries[known]
                            known += 1
                            put_short(index, index_long, 0)
                            put_short(count, count_long, <uint32_t> entry.count)
                            for k in range(entry.count):
                                operation = load_u32(entry.operations + 4 * k)
                                pool.put_u32(operation)
                                op.put_u8(operation & 15)
                                if is_match(operation):
                                    put_short(length, length_long, operation >> 4)
                                else:
                                    put_short(gap, gap_long, operation >> 4)
                            break
                        found = &entries[table[slot]]
                        if (
                            found.hash == entry.hash and found.count == entry.count
                            and memcmp(found.operations, entry.operations, 4 * entry.count) == 0
                        ):
                            put_short(index, index_long, <uint32_t> table[slot] + 1)
                            break
                        slot = (slot + 1) & (slots - 1)
                    if (
                        found.query > 0x7FFFFFFF or found.reference > 0x7FFFFFFF
                        or record_pos(r) + found.reference > 0x7FFFFFFF
                    ):
                        bad = i
                        break
                    starts[i] = found.start
                    counts[i] = <uint32_t> found.count
                    query_length[i] = <int32_t> found.query
                    reference_length[i] = <int32_t> found.reference
                    end[i] = endpos(record_pos(r), record_flag(r), found.reference)
        finally:
            free(table)
            free(entries)
        if bad >= 0:
            raise SourceError(f"record {bad + 1} of the row group: its CIGAR extends past position 2^31 - 1")
        if pool.size >= 4 * <size_t> MAX_OPERATIONS:
            raise SourceError("the CIGARs of a row group have 2^28 operations or more, which chunks cannot hold")
        cigars.pool = array.clone(UINT32, pool.size // 4, False)
        if pool.size:
            memcpy(cigars.pool.data.as_voidptr, pool.data, pool.size)
        self.placeholders = array.clone(UINT32, placeholder.size // 4, False)
        if placeholder.size:
            memcpy(self.placeholders.data.as_voidptr, placeholder.data, placeholder.size)
        self.streams = {
            "cigar": index, "cigar.long": index_long, "cigar.count": count, "cigar.count.long": count_long,
            "cigar.op": op, "cigar.length": length, "cigar.length.long": length_long,
            "cigar.gap": gap, "cigar.gap.long": gap_long, "cigar.placeholder": placeholder,
        }


cdef class Cigars:
    """The CIGARs of a row group. That of record i is ``pool[start[i]:start[i] + count[i]]``.

    Attributes
    ----------
    start, count
        First operation in ``pool``, and number of operations, of each record, array('I'), shape (n,).
    pool
        Operations in BAM encoding (length << 4 | op), array('I').
    query_length, reference_length
        Number of read bases and of reference positions that each CIGAR consumes, array('i'), shape (n,).
    """

    cdef readonly array.array start, count, pool, query_length, reference_length

    cdef int allocate(self, Py_ssize_t n) except -1:
        self.start = array.clone(UINT32, n, False)
        self.count = array.clone(UINT32, n, False)
        self.query_length = array.clone(INT32, n, False)
        self.reference_length = array.clone(INT32, n, False)
        return 0

    def __init__(self, streams, Py_ssize_t n):
        """Raises FormatError if the streams disagree with each other or with n."""
        cdef const uint8_t[::1] op = streams["cigar.op"]
        self.allocate(n)
        if op.shape[0] >= MAX_OPERATIONS:
            raise FormatError("stream 'cigar.op' is too long")
        self.pool = array.clone(UINT32, op.shape[0], False)
        cdef uint32_t[::1] start = self.start, count = self.count, pool = self.pool
        cdef int32_t[::1] query_length = self.query_length, reference_length = self.reference_length
        cdef ShortCursor index, counts, length, gap
        cdef ShortCursor *gaps = &gap if len(streams["cigar.gap"]) else &length
        open_short(&index, streams["cigar"], streams["cigar.long"])
        open_short(&counts, streams["cigar.count"], streams["cigar.count.long"])
        open_short(&length, streams["cigar.length"], streams["cigar.length.long"])
        open_short(&gap, streams["cigar.gap"], streams["cigar.gap.long"])
        cdef Py_ssize_t i, k, used = 0, known = 0, total = op.shape[0]
        cdef int32_t *first = <int32_t *> malloc((n + 1) * sizeof(int32_t))
        cdef uint32_t code = 0, operations = 0, size = 0
        cdef int64_t query, reference
        cdef bint whole = True
        if first == NULL:
            raise MemoryError("not enough memory for the CIGARs of a row group")
        with nogil:
            for i in range(n):
                if not get_short(&index, &code) or code > known:
                    whole = False
                    break
                if code:
                    k = first[code - 1]
                    start[i] = start[k]
                    count[i] = count[k]
                    query_length[i] = query_length[k]
                    reference_length[i] = reference_length[k]
                    continue
                if not get_short(&counts, &operations) or operations > total - used:
                    whole = False
                    break
                first[known] = <int32_t> i
                known += 1
                start[i] = <uint32_t> used
                count[i] = operations
                query = reference = 0
                for k in range(operations):
                    if not get_short(&length if is_match(op[used]) else gaps, &size) or size >= 1 << 28 or op[used] > 8:
                        whole = False
                        break
                    pool[used] = (size << 4) | op[used]
                    if (QUERY >> op[used]) & 1:
                        query += size
                    if (REFERENCE >> op[used]) & 1:
                        reference += size
                    used += 1
                if not whole or query > 0x7FFFFFFF or reference > 0x7FFFFFFF:
                    whole = False
                    break
                query_length[i] = <int32_t> query
                reference_length[i] = <int32_t> reference
        free(first)
        if not whole:
            raise FormatError("the 'cigar' streams are inconsistent or do not match the row group's record count")

    def cut(self, Py_ssize_t first, Py_ssize_t last):
        """The CIGARs of the records [first, last)."""
        cdef Cigars part = Cigars.__new__(Cigars)
        part.pool = self.pool
        part.start, part.count = self.start[first:last], self.count[first:last]
        part.query_length, part.reference_length = self.query_length[first:last], self.reference_length[first:last]
        return part

    def ends(self, const int32_t[::1] pos, const uint16_t[::1] flag):
        """End of every record (exclusive), array('i'): htslib's bam_endpos."""
        cdef Py_ssize_t n = pos.shape[0], i
        cdef array.array ends = array.clone(INT32, n, False)
        cdef int32_t[::1] out = ends
        cdef const int32_t[::1] reference_length = self.reference_length
        cdef bint whole = True
        with nogil:
            for i in range(n):
                if <int64_t> pos[i] + reference_length[i] > 0x7FFFFFFF:
                    whole = False
                    break
                out[i] = endpos(pos[i], flag[i], reference_length[i])
        if not whole:
            raise FormatError(f"record {i + 1} of the row group extends past position 2^31 - 1")
        return ends


def decode_placeholders(const uint8_t[::1] stream, Py_ssize_t n):
    """Ascending indices of the records whose CIGAR is in CG: array('I')."""
    cdef Py_ssize_t count = stream.shape[0] // 4, k
    cdef array.array indices = array.clone(UINT32, count, False)
    cdef uint32_t[::1] out = indices
    cdef int64_t previous = -1
    if stream.shape[0] % 4:
        raise FormatError("stream 'cigar.placeholder' does not hold whole integers")
    for k in range(count):
        out[k] = load_u32(&stream[4 * k])
        if out[k] >= n or out[k] <= previous:
            raise FormatError(f"stream 'cigar.placeholder' names record {out[k]} of {n} or is not ascending")
        previous = out[k]
    return indices

