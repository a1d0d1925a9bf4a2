# Compiled with -O1: no run spends its time here.
"""Finds the other records of duplicates: their supplementary and secondary alignments, and their unmapped mates.

They are found by name, as in `samtools markdup -S`. They may come before the duplicate, so names are collected while
duplicates are marked, and used when all records are read a second time.
"""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strcmp, strlen

from bams3.bam.fields cimport (
    DUP, MUNMAP, SECONDARY, SUPPLEMENTARY, UNMAP, find_tag, look_ahead, record_flag, record_name,
)
from bams3.buffer cimport Bytes, append
from bams3.duplicates.bits cimport DUPLICATE, LIBRARY, NAMED, OPTICAL, UNCOUNTED

cdef enum:
    MARKED, MARKED_OPTICAL
    CELLS


cdef inline bint has_others(const uint8_t *record) noexcept nogil:
    """Tell whether, according to its tags and FLAG, a read has other alignments or an unmapped mate."""
    if record_flag(record) & MUNMAP:
        return True
    return find_tag(record, c"S", c"A") != NULL or find_tag(record, c"X", c"A") != NULL


cdef class Supplementary:
    """The names of duplicates that have other alignments or an unmapped mate.

    If several duplicates have the same name, the first one counts. `originals`, `copies`, `distance`, `groups`: as for
    `Marker`.
    """

    def __cinit__(self, *, bint originals=False, bint copies=False, int64_t distance=0, int32_t groups=0):
        self.originals, self.copies, self.distance = originals, copies, distance != 0
        self.seed = int.from_bytes(os.urandom(8), "little")  # random, so that nobody can choose names that collide
        self.groups = groups
        self.counts = <int64_t *> calloc((groups + 1) * CELLS, sizeof(int64_t))
        if self.counts == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.entries)
        free(self.names.data)
        free(self.counts)

    def marks(self, block):
        """Return the `bits` and `more` of `Marks` for a block's records, which are added to existing marks."""
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef Py_ssize_t i, count = len(block)
        cdef bytes bits = PyBytes_FromStringAndSize(NULL, count)
        cdef uint8_t *to = <uint8_t *> <char *> bits
        cdef Bytes more
        memset(&more, 0, sizeof(Bytes))
        try:
            with nogil:
                for i in range(count):
                    look_ahead(&data[0], &offsets[0], i, count)
                    to[i] = self.mark_of(&data[offsets[i]], &more)
            return bits, PyBytes_FromStringAndSize(<char *> more.data, more.size)
        finally:
            free(more.data)

    def numbers(self):
        """Return how many records were marked, and how many of these as optical duplicates.

        There is a row for duplicates without a read group, and one for those of each read group.
        """
        return [[self.counts[group * CELLS + cell] for cell in range(CELLS)] for group in range(self.groups + 1)]

    cdef uint8_t mark_of(self, const uint8_t *record, Bytes *more) except? 255 nogil:
        cdef uint16_t flag = record_flag(record)
        cdef const char *name = <const char *> record_name(record)
        cdef const char *original
        cdef Entry *entry = NULL
        cdef uint8_t bits = 0
        if flag & (SUPPLEMENTARY | SECONDARY | UNMAP) and self.count:
            entry = self.find(name, self.hash(name))
        if entry != NULL and entry.used:
            bits = DUPLICATE | (0 if not self.distance else OPTICAL if entry.optical else LIBRARY)
            self.counts[entry.read_group * CELLS + MARKED] += 1
            self.counts[entry.read_group * CELLS + MARKED_OPTICAL] += entry.optical
            if self.originals:
                bits |= NAMED
                original = <const char *> self.names.data + entry.names + strlen(name) + 1
                append(more, original, strlen(original) + 1)
        if self.copies and (bits or flag & DUP):
            bits |= UNCOUNTED
        return bits

    cdef int add(self, const uint8_t *record, const char *original, bint optical, int32_t group) except -1 nogil:
        """Add the name of a duplicate, if it has other records to be marked."""
        cdef const char *name = <const char *> record_name(record)
        cdef uint64_t hashed
        cdef Entry *entry
        if not has_others(record):
            return 0
        if 2 * self.count >= self.size:
            self.grow()
        hashed = self.hash(name)
        entry = self.find(name, hashed)
        if not entry.used:
            entry.hash, entry.names, entry.read_group = hashed, self.names.size, group
            entry.used, entry.optical = True, optical
            self.count += 1
            append(&self.names, name, strlen(name) + 1)
            if self.originals:
                append(&self.names, original, strlen(original) + 1)
        return 0

    cdef void retag(self, const uint8_t *record) noexcept nogil:
        """A duplicate is found to be an optical one."""
        cdef const char *name = <const char *> record_name(record)
        if self.count and has_others(record):
            self.find(name, self.hash(name)).optical = True

    cdef Entry *find(self, const char *name, uint64_t hashed) noexcept nogil:
        """Return the entry of a name, or the unused entry where it belongs. There must be entries."""
        cdef int64_t at = hashed & (self.size - 1)
        while self.entries[at].used and (
            self.entries[at].hash != hashed or strcmp(<const char *> self.names.data + self.entries[at].names, name)
        ):
            at = (at + 1) & (self.size - 1)
        return &self.entries[at]

    cdef int grow(self) except -1 nogil:
        """Double the number of entries."""
        cdef int64_t size = 2 * self.size if self.size else 1024
        cdef int64_t i, at
        cdef Entry *old = self.entries
        cdef Entry *entries = <Entry *> calloc(size, sizeof(Entry))
        if entries == NULL:
            with gil:
                raise MemoryError(f"not enough memory for the names of {self.count} duplicates")
        for i in range(self.size):
            if old[i].used:
                at = old[i].hash & (size - 1)
                while entries[at].used:
                    at = (at + 1) & (size - 1)
                entries[at] = old[i]
        free(old)
        self.entries, self.size = entries, size
        return 0

    cdef uint64_t hash(self, const char *name) noexcept nogil:
        cdef uint64_t value = self.seed
        while name[0]:
            value = (value ^ <uint8_t> name[0]) * <uint64_t> 0x9E3779B97F4A7C15
            value ^= value >> 29
            name += 1
        return value
