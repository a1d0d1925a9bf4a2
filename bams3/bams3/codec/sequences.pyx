"""SEQ and its length.

``seq.length`` has l_seq minus the number of read bases according to the CIGAR, zigzag, as short integers.

The bases of an aligned read (see ``reference``) at operations M, = and X are those of the reference, except for
*mismatches*. ``seq.mismatches`` has the number of mismatches of each aligned read (short integers). For each mismatch,
``seq.mismatch`` has the number of read bases between it and the previous one, or the start of the read (short
integers), and ``seq.substitute`` has one byte: 1 to 3, the code of the base minus that of the reference, modulo 4, if
both are A C G T (codes 0 to 3); otherwise 4 + the base. All other bases (inserted, clipped, of unaligned reads, outside
the reference's window) are in ``seq.literal`` (see ``bases``), read by read.

``seq.pad`` has pairs of u32 (record index, low half of the last byte), for records of odd length where that half is not
0.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.codec.bases cimport (
    PADDING, BaseReader, BaseWriter, expand, first_difference, from_two_bits, longest_of, pack, two_bits,
)
from bams3.codec.primitives cimport (
    Cursor, ShortCursor, difference, get_short, open_cursor, open_short, put_short, total, unzigzag, zigzag,
)
from bams3.codec.reference cimport Reference, is_aligned
from bams3.bam.fields cimport MATCHES, QUERY, REFERENCE, is_match, load_u32, look_ahead, record_l_seq, record_seq

from bams3.errors import FormatError

cdef array.array INT32 = new_array("i")
cdef array.array INT64 = new_array("q")

cdef enum:
    OTHER = 4  # substitutes from here on are the base itself


def encode_lengths(block, const int32_t[::1] query_length):
    """Streams of l_seq of a block, and l_seq, array('i'). ``query_length`` as computed by ``cigars``, shape (n,)."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef array.array column = array.clone(INT32, n, False)
    cdef int32_t[::1] out = column
    cdef Buffer length = Buffer(n), length_long = Buffer(width=4)
    with nogil:
        for i in range(n):
            look_ahead(&data[0], &offsets[0], i, n)
            out[i] = record_l_seq(&data[offsets[i]])
            put_short(length, length_long, zigzag(difference(out[i], query_length[i])))
    return {"seq.length": length, "seq.length.long": length_long}, column


def decode_lengths(const uint8_t[::1] stream, const uint8_t[::1] escaped, const int32_t[::1] query_length, int64_t limit):
    """l_seq of every record: array('i'), each ≥ 0, in total at most ``limit``."""
    cdef Py_ssize_t n = query_length.shape[0], i
    cdef array.array lengths = array.clone(INT32, n, False)
    cdef int32_t[::1] out = lengths
    cdef ShortCursor cursor
    cdef uint32_t value = 0
    cdef int64_t bases = 0
    cdef bint whole = True
    open_short(&cursor, stream, escaped)
    with nogil:
        for i in range(n):
            if not get_short(&cursor, &value):
                whole = False
                break
            out[i] = total(query_length[i], unzigzag(value))
            bases += out[i]
            if out[i] < 0 or bases > limit:
                whole = False
                break
    if not whole:
        raise FormatError(f"stream 'seq.length' has no valid length for record {i + 1} of the row group")
    return lengths


cdef class Differences:
    """Streams of the differences between reads and reference."""

    cdef Buffer counts, counts_long, gaps, gaps_long, substitutes
    cdef BaseWriter literals

    def __cinit__(self):
        self.counts, self.counts_long, self.gaps, self.gaps_long = Buffer(), Buffer(width=4), Buffer(), Buffer(width=4)
        self.substitutes = Buffer()
        self.literals = BaseWriter()

    cdef int put(
        self, Reference reference, int64_t at, const uint32_t *cigar, uint32_t count, const uint8_t *bases
    ) except -1 nogil:
        """Write the differences of one aligned read; ``at`` is the index of its POS in the window."""
        cdef uint32_t j, operation, found = 0
        cdef int64_t length, inside, k, start = 0, last = 0
        cdef const uint8_t *window = reference.bases
        for j in range(count):
            operation = cigar[j] & 15
            length = cigar[j] >> 4
            if (MATCHES >> operation) & 1:
                inside = max(min(length, reference.length - at), 0)
                k = first_difference(window + at, bases + start, 0, inside)
                while k < inside:
                    put_short(self.gaps, self.gaps_long, <uint32_t> (start + k - last))
                    last = start + k + 1
                    self.substitutes.put_u8(substitute(window[at + k], bases[start + k]))
                    found += 1
                    k = first_difference(window + at, bases + start, k + 1, inside)
                for k in range(inside, length):
                    self.literals.put(bases[start + k])
            elif (QUERY >> operation) & 1:
                for k in range(length):
                    self.literals.put(bases[start + k])
            if (REFERENCE >> operation) & 1:
                at += length
            if (QUERY >> operation) & 1:
                start += length
        return put_short(self.counts, self.counts_long, found)

    cdef dict streams(self):
        return {
            "seq.mismatches": self.counts, "seq.mismatches.long": self.counts_long, "seq.mismatch": self.gaps,
            "seq.mismatch.long": self.gaps_long, "seq.substitute": self.substitutes,
        } | self.literals.streams("seq.literal")


cdef inline uint8_t substitute(uint8_t reference, uint8_t base) noexcept nogil:
    if two_bits(reference) < 4 and two_bits(base) < 4:
        return (two_bits(base) - two_bits(reference)) & 3
    return OTHER + base


def encode(block, const int32_t[::1] pos, l_seq_, cigars, Reference reference not None):
    """Streams of SEQ of a block. ``pos`` and ``l_seq`` are array('i'); all arguments are those of the block."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef const int32_t[::1] l_seq = l_seq_, query_length = cigars.query_length
    cdef const uint32_t[::1] first = cigars.start, count = cigars.count, pool = cigars.pool
    cdef Py_ssize_t n = pos.shape[0], i
    cdef int64_t longest = longest_of(l_seq), k
    cdef Differences differences = Differences()
    cdef Buffer pad = Buffer(width=4)
    cdef uint8_t *bases = <uint8_t *> malloc(longest + PADDING)
    if bases == NULL:
        raise MemoryError("not enough memory for the longest read of a row group")
    try:
        with nogil:
            for i in range(n):
                expand(record_seq(&data[offsets[i]]), l_seq[i], bases)
                if l_seq[i] & 1 and bases[l_seq[i]]:
                    pad.put_u32(<uint32_t> i)
                    pad.put_u32(bases[l_seq[i]])
                if is_aligned(pos[i], l_seq[i], query_length[i]):
                    differences.put(reference, pos[i] - reference.start, &pool[first[i]], count[i], bases)
                else:
                    for k in range(l_seq[i]):
                        differences.literals.put(bases[k])
    finally:
        free(bases)
    return differences.streams() | {"seq.pad": pad}


cdef class Mismatched:
    """Where aligned reads differ from the reference, within its window.

    ``places``, array('i'), has the indices of mismatched bases in their reads. Those of record i, in ascending order,
    are ``places[first[i]:first[i + 1]]``; ``first`` is an array('q').
    """


cdef struct Mismatches:
    ShortCursor counts, gaps
    Cursor substitutes


cdef bint get_aligned(
    Reference reference, int64_t at, const uint32_t *cigar, uint32_t count, BaseReader literals, uint8_t *bases
) noexcept nogil:
    """Read the bases of the next aligned read, but not yet its mismatches; returns False if the streams lack bases."""
    cdef uint32_t j, operation
    cdef int64_t length, inside, k, start = 0
    for j in range(count):
        operation = cigar[j] & 15
        length = cigar[j] >> 4
        if (MATCHES >> operation) & 1:
            inside = max(min(length, reference.length - at), 0)
            if inside:
                memcpy(bases + start, reference.bases + at, inside)
            for k in range(inside, length):
                if not literals.get(&bases[start + k]):
                    return False
        elif (QUERY >> operation) & 1:
            for k in range(length):
                if not literals.get(&bases[start + k]):
                    return False
        if (REFERENCE >> operation) & 1:
            at += length
        if (QUERY >> operation) & 1:
            start += length
    return True


cdef inline void copy_within(Reference reference, int64_t at, int64_t l_seq, uint8_t *packed) noexcept nogil:
    """Copy ``l_seq`` bases of the reference, in BAM encoding."""
    memcpy(packed, reference.packed[at & 1] + (at >> 1), (l_seq + 1) // 2)
    if l_seq & 1:
        packed[l_seq // 2] &= 0xF0


cdef inline int64_t get_mismatches(
    Mismatches *mismatches, int64_t l_seq, uint8_t *packed, int32_t *places
) noexcept nogil:
    """Put the mismatches of the next aligned read into its bases, and their indices into ``places``. Returns their
    number; -1 if the streams lack them, or one equals the reference."""
    cdef uint32_t count = 0, k, gap = 0
    cdef int64_t at = 0
    cdef uint8_t base, substituted
    cdef int shift
    if not get_short(&mismatches.counts, &count) or count > mismatches.substitutes.end - mismatches.substitutes.at:
        return -1
    for k in range(count):
        if not get_short(&mismatches.gaps, &gap):
            return -1
        at += gap
        if at >= l_seq:
            return -1
        shift = 0 if at & 1 else 4
        base = packed[at >> 1] >> shift & 15
        substituted = mismatches.substitutes.at[0]
        mismatches.substitutes.at += 1
        if substituted >= OTHER:
            substituted = (substituted - OTHER) & 15
        elif two_bits(base) < 4:
            substituted = from_two_bits(two_bits(base) + substituted)
        else:
            return -1
        if substituted == base:
            return -1
        packed[at >> 1] ^= (base ^ substituted) << shift
        places[k] = <int32_t> at
        at += 1
    return count


def decode(streams, const int32_t[::1] pos, l_seq_, cigars, Reference reference not None):
    """SEQs in BAM encoding, concatenated (bytes-like), array('q') of n + 1 offsets into them, and a `Mismatched`."""
    cdef const int32_t[::1] l_seq = l_seq_, query_length = cigars.query_length
    cdef const uint32_t[::1] first = cigars.start, count = cigars.count, pool = cigars.pool
    cdef Py_ssize_t n = pos.shape[0], i, at
    cdef int64_t longest = longest_of(l_seq), k, here, found
    cdef BaseReader literals = BaseReader(streams, "seq.literal")
    cdef Mismatched mismatched = Mismatched()
    cdef Mismatches mismatches
    cdef array.array offsets_array = array.clone(INT64, n + 1, False)
    cdef int64_t[::1] offsets = offsets_array
    cdef const uint8_t[::1] pad = streams["seq.pad"]
    cdef bint whole = True
    open_short(&mismatches.counts, streams["seq.mismatches"], streams["seq.mismatches.long"])
    open_short(&mismatches.gaps, streams["seq.mismatch"], streams["seq.mismatch.long"])
    open_cursor(&mismatches.substitutes, streams["seq.substitute"])
    mismatched.places = array.clone(INT32, mismatches.substitutes.end - mismatches.substitutes.at, False)
    mismatched.first = array.clone(INT64, n + 1, False)
    cdef int32_t *places = <int32_t *> mismatched.places.data.as_voidptr
    cdef int64_t *first_place = <int64_t *> mismatched.first.data.as_voidptr
    reference.pack()
    first_place[0] = offsets[0] = 0
    for i in range(n):
        offsets[i + 1] = offsets[i] + (<int64_t> l_seq[i] + 1) // 2
    cdef Buffer packed = Buffer(offsets[n])
    packed.size = offsets[n]
    cdef uint8_t *bases = <uint8_t *> malloc(longest + PADDING)
    if bases == NULL:
        raise MemoryError("not enough memory for the longest read of a row group")
    with nogil:
        for i in range(n):
            first_place[i + 1] = first_place[i]
            if is_aligned(pos[i], l_seq[i], query_length[i]):
                here = pos[i] - reference.start
                if count[i] == 1 and is_match(pool[first[i]]) and here + l_seq[i] <= reference.length:
                    copy_within(reference, here, l_seq[i], packed.data + offsets[i])
                else:
                    whole = get_aligned(reference, here, &pool[first[i]], count[i], literals, bases)
                    pack(bases, l_seq[i], packed.data + offsets[i])
                found = get_mismatches(&mismatches, l_seq[i], packed.data + offsets[i], places + first_place[i])
                whole = whole and found >= 0
                first_place[i + 1] += found
            else:
                for k in range(l_seq[i]):
                    whole = whole and literals.get(&bases[k])
                pack(bases, l_seq[i], packed.data + offsets[i])
            if not whole:
                break
    free(bases)
    if not whole:
        raise FormatError(f"the 'seq' streams have no valid bases for record {i + 1} of the row group")
    if not literals.ended():
        raise FormatError("stream 'seq.literal' does not match the lengths of the row group's reads")
    if pad.shape[0] % 8:
        raise FormatError("stream 'seq.pad' does not hold whole (index, pad) pairs")
    for at in range(0, pad.shape[0], 8):
        k = load_u32(&pad[at])
        if k >= n or not l_seq[k] & 1 or load_u32(&pad[at + 4]) > 15:
            raise FormatError(f"stream 'seq.pad' has an invalid pad for record {k + 1} of the row group")
        packed.data[offsets[k + 1] - 1] |= <uint8_t> load_u32(&pad[at + 4])
    return packed, offsets_array, mismatched
