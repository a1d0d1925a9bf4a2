"""Overlapping mates, as in samtools depth -s: the second read of a name counts only from the end of the first one
on."""

from array import array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from bams3.bam.fields cimport MUNMAP, PAIRED

from bams3.coverage.damage import damaged, same_length

cdef enum:
    UNSEEN = -1
    SLOTS = 1 << 20


cdef class MateEnds:
    """The ends of reads whose mates may still come, by name. Row groups must be given in the dataset's order.

    As in samtools, a name is kept until its next read comes, even if that is on another contig.
    """

    cdef dict ends
    cdef bytearray slots  # 1 for the slot of each name in `ends`, so that most names need no look-up
    cdef Py_ssize_t used

    def __cinit__(self):
        self.ends, self.slots, self.used = {}, bytearray(SLOTS), 0

    def clip(self, group, const uint8_t[::1] mask not None):
        """Return, for each record, the position before which it does not count, or 0: ``array('q')``.

        ``mask`` has one byte per record, 0 for those that are not selected. Raises `FormatError` for damaged columns.
        """
        cdef Py_ssize_t n = group.records, i
        cdef const int32_t[::1] end = group.end, previous = group.previous
        cdef const int32_t[::1] next_ref = group.next_ref, next_pos = group.next_pos
        cdef const uint16_t[::1] flag = group.flag
        cdef int reference = group.reference_id
        clips, states, roots = array("q", bytes(8 * n)), array("q", bytes(8 * n)), array("i", bytes(4 * n))
        cdef int64_t[::1] clipped = clips, state = states
        cdef int32_t[::1] root = roots
        cdef bint good = True
        same_length(n, mask, end, previous, next_ref, next_pos, flag)
        with nogil:
            for i in range(n):
                if not -1 <= previous[i] < i:
                    good = False
                    break
                root[i] = root[previous[i]] if previous[i] >= 0 else <int32_t> i
                state[i] = UNSEEN
        if not good:
            raise damaged("name chains point outside of it")
        data, offsets = group.names
        self._resume(data, offsets, previous, state)
        with nogil:
            for i in range(n):
                if not mask[i] or flag[i] & (PAIRED | MUNMAP) != PAIRED:
                    continue
                if state[root[i]] != UNSEEN:
                    clipped[i] = state[root[i]]
                    state[root[i]] = UNSEEN
                elif next_pos[i] == -1 or (next_ref[i] == reference and next_pos[i] <= end[i]):
                    state[root[i]] = end[i]
        self._keep(data, offsets, state)
        return clips

    cdef int _resume(self, const uint8_t[::1] data, const int64_t[::1] offsets, const int32_t[::1] previous,
                     int64_t[::1] state) except -1:
        """Take over the ends of names that earlier row groups have left."""
        cdef uint8_t[::1] slots = self.slots
        cdef Py_ssize_t n = previous.shape[0], i
        same_length(n + 1, offsets)
        for i in range(n):
            if not 0 <= offsets[i] <= offsets[i + 1] <= data.shape[0]:
                raise damaged("names point outside of it")
            if previous[i] < 0 and slots[slot_of(data, offsets[i], offsets[i + 1])]:
                state[i] = self.ends.pop(name_of(data, offsets[i], offsets[i + 1]), UNSEEN)
        return 0

    cdef int _keep(self, const uint8_t[::1] data, const int64_t[::1] offsets, const int64_t[::1] state) except -1:
        """Leave the ends of names to later row groups."""
        cdef uint8_t[::1] slots = self.slots
        cdef Py_ssize_t i
        for i in range(state.shape[0]):
            if state[i] != UNSEEN:
                self.ends[name_of(data, offsets[i], offsets[i + 1])] = state[i]
                slots[slot_of(data, offsets[i], offsets[i + 1])] = 1
                self.used += 1
        if self.used > SLOTS // 4 and self.used > 2 * len(self.ends):
            self.slots = bytearray(SLOTS)
            slots = self.slots
            for name in self.ends:
                slots[slot_of(name, 0, len(name))] = 1
            self.used = len(self.ends)
        return 0


cdef inline bytes name_of(const uint8_t[::1] data, int64_t begin, int64_t end):
    return (<const char *> &data[begin])[:end - begin] if begin < end else b""


cdef inline Py_ssize_t slot_of(const uint8_t[::1] data, int64_t begin, int64_t end) noexcept:
    """The slot of a name, from its FNV-1a hash."""
    cdef uint64_t value = 0xCBF29CE484222325
    cdef int64_t i
    for i in range(begin, end):
        value = (value ^ data[i]) * <uint64_t> 0x100000001B3
    return <Py_ssize_t> ((value ^ (value >> 32)) & (SLOTS - 1))
