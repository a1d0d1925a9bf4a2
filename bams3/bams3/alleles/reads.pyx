"""Reads of a row group, made from its columns after these have been checked."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.alleles.walk cimport Read, is_in
from bams3.alleles.waiting cimport Text, may_overlap
from bams3.bam.fields cimport DELETION, PAIRED, PROPER_PAIR, REFERENCE

from array import array

from bams3.coverage.damage import damaged, same_length

cdef enum:
    NONE = -1


cdef class Reads:
    """The reads of a row group.

    `mates` includes the columns for finding overlapping mates: names, and fields of the mate. `qualities` is False if
    the caller does not use qualities.
    """

    def __cinit__(self, group, const uint8_t[::1] mask not None, bint mates, bint qualities=True):
        cdef Py_ssize_t n = group.records, i
        cdef int64_t bases = 0, packed = 0
        self.records, self.reference_id, self.mask = n, group.reference_id, mask
        qual = group.qual if qualities else bytearray()
        if memoryview(qual).readonly:  # overlapping mates and BAQ change qualities in place
            qual = group.__dict__["qual"] = bytearray(qual)
        self.pos, self.end, self.flag, self.mapq, self.l_seq = group.pos, group.end, group.flag, group.mapq, group.l_seq
        self.cigar_start, self.cigar_count, self.pool = group.cigar_start, group.cigar_count, group.cigar_pool
        self.seq, self.qual = group.seq, qual
        self.held = [group.cigar_pool, group.seq, qual]
        same_length(n, mask, self.pos, self.end, self.flag, self.mapq, self.l_seq, self.cigar_start, self.cigar_count)
        starts, bytes_ = array("q", bytes(8 * n)), array("q", bytes(8 * n))
        self.bases, self.packed = starts, bytes_
        for i in range(n):
            self.bases[i], self.packed[i] = bases, packed
            if self.l_seq[i] < 0:
                raise damaged("reads have a negative number of bases")
            bases += self.l_seq[i]
            packed += (<int64_t> self.l_seq[i] + 1) // 2
            if <int64_t> self.cigar_start[i] + self.cigar_count[i] > self.pool.shape[0]:
                raise damaged("CIGARs point outside of it")
        if (qualities and bases > self.qual.shape[0]) or packed > self.seq.shape[0]:
            raise damaged("reads are longer than its bases and qualities")
        self.mates = mates
        if mates:
            self.set_mates(group)

    cdef int set_mates(self, group) except -1:
        cdef Py_ssize_t n = self.records, i
        self.previous, self.next_ref, self.next_pos = group.previous, group.next_ref, group.next_pos
        self.template_length = group.tlen
        names, offsets = group.names
        self.names, self.name_offsets = names, offsets
        self.held.append(names)
        same_length(n, self.previous, self.next_ref, self.next_pos, self.template_length)
        same_length(n + 1, self.name_offsets)
        for i in range(n):
            if not -1 <= self.previous[i] < i:
                raise damaged("name chains point outside of it")
            if not 0 <= self.name_offsets[i] <= self.name_offsets[i + 1] <= self.names.shape[0]:
                raise damaged("names point outside of it")
        return 0

    cdef Py_ssize_t first(self) noexcept nogil:
        """The first record that is selected; `records` if there is none."""
        cdef Py_ssize_t i
        for i in range(self.records):
            if self.mask[i]:
                return i
        return self.records

    cdef Read read(self, Py_ssize_t i) noexcept nogil:
        cdef Read read
        cdef uint32_t k
        cdef int64_t extent = 0
        read.pos, read.end, read.operations, read.l_seq = self.pos[i], self.end[i], self.cigar_count[i], self.l_seq[i]
        read.cigar = &self.pool[self.cigar_start[i]] if read.operations else NULL
        read.seq = &self.seq[self.packed[i]] if read.l_seq else NULL
        read.qual = &self.qual[self.bases[i]] if read.l_seq and self.qual.shape[0] else NULL
        read.flag, read.mapq = self.flag[i], self.mapq[i]
        read.changed, read.since, read.before = NONE, 0, 0
        self.deleted = 0
        for k in range(read.operations):
            if is_in(read.cigar[k], REFERENCE):
                extent += read.cigar[k] >> 4
                if read.cigar[k] & 15 == DELETION:
                    self.deleted += read.cigar[k] >> 4
        if not extent:
            read.end = read.pos
        return read

    cdef Text name(self, Py_ssize_t i) noexcept nogil:
        """The name of a read. Requires `mates`."""
        cdef Text text = Text(NULL, <int32_t> (self.name_offsets[i + 1] - self.name_offsets[i]))
        if text.length:
            text.chars = &self.names[self.name_offsets[i]]
        return text

    cdef bint may_overlap(self, Py_ssize_t i, const Read *read) noexcept nogil:
        """Whether htslib looks for the mate of a properly paired read."""
        return may_overlap(read, self.reference_id, self.next_ref[i], self.next_pos[i], self.template_length[i])

    cdef bint waits(self, Py_ssize_t i, const Read *read) noexcept nogil:
        """Whether the mate of a read comes later."""
        return self.next_pos[i] >= read.pos or (read.flag & PAIRED and self.next_pos[i] == -1)


def keep_piled(uint8_t[::1] mask not None, const uint16_t[::1] flag not None, bint orphans):
    """Unless `orphans`, clear the mask of records that are paired, but not properly."""
    cdef Py_ssize_t i
    same_length(mask.shape[0], flag)
    if not orphans:
        with nogil:
            for i in range(mask.shape[0]):
                mask[i] &= flag[i] & (PAIRED | PROPER_PAIR) != PAIRED
