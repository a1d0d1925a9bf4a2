"""Records of several contigs as records of one, so that they are encoded together.

The contigs of a row group lie one behind another: the first begins at position 1, and each of the others two positions
after the end of the previous one. So there is room for the positions from -1 to the length of each contig. The joined
contig has a new reference id, one more than the largest that the records mention. docs/format.md, "Joined contigs",
specifies this.
"""

from cpython cimport array
import array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from bams3.bam.fields cimport UNMAP, record_bin, record_flag, record_mapq, record_next_pos, record_next_ref, record_pos
from bams3.bam.fields cimport record_ref
from bams3.bam.cigar cimport endpos, spans
from bams3.codec.cigars cimport resolve
from bams3.bam.bins cimport reg2bin

from bams3.bam.records import join
from bams3.errors import FormatError, SourceError

cdef array.array INT32 = array.array("i")

cdef enum:
    LAST = 0x7FFFFFFF  # the largest position


cdef inline void put_i32(uint8_t *p, int64_t value) noexcept nogil:
    cdef int32_t narrow = <int32_t> value
    memcpy(p, &narrow, 4)


cdef inline int64_t reference_length(const uint8_t *r) noexcept nogil:
    """Positions of the reference that a record's real CIGAR consumes."""
    cdef const uint8_t *operations
    cdef int64_t count, query, reference
    resolve(r, &operations, &count)
    spans(operations, count, &query, &reference)
    return reference


cdef inline void put_bin(uint8_t *r, int64_t pos, int64_t end, int64_t new_pos, int64_t new_end) noexcept nogil:
    """Change the bin of a record that moves; its difference from the correct bin stays the same."""
    cdef uint16_t bin = <uint16_t> (record_bin(r) - reg2bin(pos, end) + reg2bin(new_pos, new_end))
    memcpy(r + 14, &bin, 2)


def runs(block):
    """The runs of consecutive records on one contig, in order.

    Returns
    -------
    list of tuple
        For each run: (reference id, records, bytes, min_pos, max_pos, max_end, min_mapq, max_mapq, flags_any,
        flags_all, mapped). Positions are 0-based, on the contig itself; max_end is exclusive.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i = 0, first
    cdef int32_t ref, pos, end, low, high, furthest
    cdef int mapq, least, most, mapped
    cdef uint16_t flag, any_, all_
    cdef const uint8_t *r
    found = []
    while i < n:
        first = i
        ref = record_ref(&data[offsets[i]])
        low, high, furthest, least, most, any_, all_, mapped = LAST, -1, -1, 255, 0, 0, 0xFFFF, 0
        with nogil:
            while i < n and record_ref(&data[offsets[i]]) == ref:
                r = &data[offsets[i]]
                pos, mapq, flag = record_pos(r), record_mapq(r), record_flag(r)
                end = endpos(pos, flag, reference_length(r))
                low, high, furthest = min(low, pos), max(high, pos), max(furthest, end)
                least, most = min(least, mapq), max(most, mapq)
                any_ |= flag
                all_ &= flag
                mapped += not flag & UNMAP
                i += 1
        found.append(
            (ref, i - first, offsets[i] - offsets[first], low, high, furthest, least, most, any_, all_, mapped)
        )
    return found


cdef class Joint:
    """Several contigs as one.

    ``reference_id`` is that of the joined contig. Contig i has the reference id ``contigs[i]`` and ``counts[i]``
    records, and begins at position ``starts[i]`` of the joined contig; ``starts[-1]`` is where another contig would
    begin.
    """

    cdef readonly array.array contigs, counts, starts
    cdef readonly int32_t reference_id

    def __init__(self, contigs, counts, lengths, int32_t reference_id):
        """``contigs`` are ascending reference ids, ``counts`` their numbers of records, and ``lengths`` their lengths
        in bp, all of shape (m,). Raises ValueError if the joined contig would be too long."""
        cdef Py_ssize_t i
        cdef int64_t at = 1
        self.contigs = array.array("i", contigs)
        self.counts = array.array("i", counts)
        self.starts = array.array("q", [1])
        for i in range(len(self.contigs)):
            at += lengths[i] + 2
            self.starts.append(at)
        if not len(self.contigs) == len(self.counts) == len(lengths) or at > LAST:
            raise ValueError("contigs that are too long to be joined")
        self.reference_id = reference_id

    cdef Py_ssize_t holder(self, int64_t pos) noexcept nogil:
        """Index of the contig that a position of the joined contig belongs to, or -1."""
        cdef const int64_t *starts = <const int64_t *> self.starts.data.as_longlongs
        cdef Py_ssize_t low = 0, high = array_size(self.contigs), middle
        if pos < 0 or pos >= starts[high] - 1:
            return -1
        while high - low > 1:
            middle = (low + high) // 2
            if starts[middle] - 1 <= pos:
                low = middle
            else:
                high = middle
        return low

    cdef Py_ssize_t number(self, int32_t reference_id) noexcept nogil:
        """Index of the contig with a reference id, or -1."""
        cdef const int32_t *contigs = <const int32_t *> self.contigs.data.as_ints
        cdef Py_ssize_t low = 0, high = array_size(self.contigs), middle
        while low < high:
            middle = (low + high) // 2
            if contigs[middle] < reference_id:
                low = middle + 1
            else:
                high = middle
        return low if low < array_size(self.contigs) and contigs[low] == reference_id else -1

    cdef has(self, Py_ssize_t records):
        """Raise FormatError unless the contigs have this many records in total."""
        cdef int64_t total = 0
        cdef Py_ssize_t k
        for k in range(len(self.counts)):
            if self.counts.data.as_ints[k] < 1:
                raise FormatError("a contig without records")
            total += self.counts.data.as_ints[k]
        if total != records:
            raise FormatError(f"contigs with {total} records in a row group that has {records}")

    cdef own_copy(self, block):
        """A copy of the records, which may be changed. Raises FormatError unless the contigs have that many records."""
        self.has(len(block))
        return join([block])

    def joined(self, block):
        """Copy the records, moved to the joined contig. Raises SourceError if one would end past 2^31 - 1."""
        copy = self.own_copy(block)
        cdef uint8_t *data = <uint8_t *> <char *> <bytes?> copy.data
        cdef array.array offsets = copy.offsets
        cdef const int64_t *at = <const int64_t *> offsets.data.as_longlongs
        cdef const int64_t *starts = <const int64_t *> self.starts.data.as_longlongs
        cdef const int32_t *counts = <const int32_t *> self.counts.data.as_ints
        cdef const int32_t *contigs = <const int32_t *> self.contigs.data.as_ints
        cdef Py_ssize_t m = len(self.contigs), k, mate, i = 0, stop = 0, bad = -1
        cdef int64_t pos, length, next_pos
        cdef uint16_t flag
        cdef uint8_t *r
        with nogil:
            for k in range(m):
                stop += counts[k]
                while i < stop:
                    r = data + at[i]
                    pos, length, flag = record_pos(r), reference_length(r), record_flag(r)
                    if pos + starts[k] + length >= LAST:
                        bad = i
                        break
                    put_bin(
                        r, pos, endpos(<int32_t> pos, flag, length), pos + starts[k],
                        endpos(<int32_t> (pos + starts[k]), flag, length),
                    )
                    put_i32(r + 4, self.reference_id)
                    put_i32(r + 8, pos + starts[k])
                    next_pos = record_next_pos(r)
                    mate = k if record_next_ref(r) == contigs[k] else self.number(record_next_ref(r))
                    if mate >= 0 and next_pos <= starts[mate + 1] - starts[mate] - 2:
                        put_i32(r + 24, self.reference_id)
                        put_i32(r + 28, next_pos + starts[mate])
                    i += 1
                if bad >= 0:
                    break
        if bad >= 0:
            raise SourceError(f"record {bad + 1} of the row group: it lies too far past the end of its contig")
        return copy

    def parted(self, block):
        """The inverse of ``joined``. Raises FormatError if a record or its mate lies outside of the contigs."""
        copy = self.own_copy(block)
        cdef uint8_t *data = <uint8_t *> <char *> <bytes?> copy.data
        cdef array.array offsets = copy.offsets
        cdef const int64_t *at = <const int64_t *> offsets.data.as_longlongs
        cdef const int64_t *starts = <const int64_t *> self.starts.data.as_longlongs
        cdef const int32_t *counts = <const int32_t *> self.counts.data.as_ints
        cdef const int32_t *contigs = <const int32_t *> self.contigs.data.as_ints
        cdef Py_ssize_t m = len(self.contigs), k, mate, i = 0, stop = 0
        cdef int64_t pos, length
        cdef uint16_t flag
        cdef bint whole = True
        cdef uint8_t *r
        with nogil:
            for k in range(m):
                stop += counts[k]
                while i < stop:
                    r = data + at[i]
                    pos, flag = record_pos(r) - starts[k], record_flag(r)
                    if record_next_ref(r) == self.reference_id:
                        mate = self.holder(record_next_pos(r))
                        if mate < 0:
                            whole = False
                            break
                        put_i32(r + 24, contigs[mate])
                        put_i32(r + 28, record_next_pos(r) - starts[mate])
                    length = reference_length(r)
                    if pos < -1 or pos + starts[k] + length >= LAST:
                        whole = False
                        break
                    put_bin(
                        r, pos + starts[k], endpos(<int32_t> (pos + starts[k]), flag, length), pos,
                        endpos(<int32_t> pos, flag, length),
                    )
                    put_i32(r + 4, contigs[k])
                    put_i32(r + 8, pos)
                    i += 1
                if not whole:
                    break
        if not whole:
            raise FormatError(f"record {i + 1} of the row group is not on its contig")
        return copy

    def reference_ids(self, Py_ssize_t records):
        """The reference id of each record: array('i'). Raises FormatError unless there are this many records."""
        self.has(records)
        cdef array.array out = array.clone(INT32, records, False)
        cdef Py_ssize_t k, i = 0, stop = 0
        for k in range(len(self.counts)):
            stop += self.counts.data.as_ints[k]
            while i < stop:
                out.data.as_ints[i] = self.contigs.data.as_ints[k]
                i += 1
        return out

    def places(self, const int32_t[::1] pos):
        """Convert the POS of every record from the joined contig to its contig: array('i'). Raises FormatError unless
        the contigs have this many records."""
        self.has(pos.shape[0])
        cdef array.array out = array.clone(INT32, pos.shape[0], False)
        cdef Py_ssize_t k, i = 0, stop = 0
        for k in range(len(self.counts)):
            stop += self.counts.data.as_ints[k]
            while i < stop:
                out.data.as_ints[i] = <int32_t> (pos[i] - self.starts.data.as_longlongs[k])
                i += 1
        return out

    def mates(self, const int32_t[::1] next_ref, const int32_t[::1] next_pos):
        """Convert RNEXT and PNEXT from the joined contig: two array('i') of shape (n,). Raises FormatError if a mate
        lies outside of the contigs."""
        cdef Py_ssize_t n = next_ref.shape[0], i, mate
        cdef array.array refs = array.clone(INT32, n, False), places = array.clone(INT32, n, False)
        cdef int32_t[::1] ref = refs, place = places
        cdef const int64_t *starts = <const int64_t *> self.starts.data.as_longlongs
        cdef const int32_t *contigs = <const int32_t *> self.contigs.data.as_ints
        cdef bint whole = True
        with nogil:
            for i in range(n):
                ref[i], place[i] = next_ref[i], next_pos[i]
                if next_ref[i] == self.reference_id:
                    mate = self.holder(next_pos[i])
                    if mate < 0:
                        whole = False
                        break
                    ref[i] = contigs[mate]
                    place[i] = <int32_t> (next_pos[i] - starts[mate])
        if not whole:
            raise FormatError(f"the mate of record {i + 1} of the row group is not on a contig")
        return refs, places


cdef inline Py_ssize_t array_size(array.array values) noexcept nogil:
    return values.ob_size


def linked(const int32_t[::1] previous, Py_ssize_t first, Py_ssize_t last):
    """The links of records [first, last), counted from ``first``: array('i'). Links to earlier records become -1."""
    cdef array.array out = array.clone(INT32, last - first, False)
    cdef int32_t[::1] to = out
    cdef Py_ssize_t i
    for i in range(last - first):
        to[i] = <int32_t> (previous[first + i] - first) if previous[first + i] >= first else -1
    return out


def mentioned(block):
    """The reference ids in RNAME and RNEXT of a block's records, ascending, without -1."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef array.array refs = array.clone(INT32, 2 * n, False)
    cdef int32_t[::1] out = refs
    cdef int32_t last = -1
    cdef Py_ssize_t used = 0, at
    for i in range(n):
        for at in range(2):
            out[used] = record_next_ref(&data[offsets[i]]) if at else record_ref(&data[offsets[i]])
            if out[used] != last:
                last = out[used]
                used += 1
    return sorted({*refs[:used]} - {-1})
