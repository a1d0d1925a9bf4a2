"""Reads that wait for their mates: decides which two reads of a name are overlapping mates, as htslib's pileup does."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from bams3.alleles.arena cimport Arena
from bams3.alleles.walk cimport Read
from bams3.bam.fields cimport MUNMAP

from array import array

cdef enum:
    NONE = -1


cdef class Waiting:
    """Remembers, by name, the reads whose mates may still come. The caller chooses the numbers that stand for reads.

    htslib forgets a name as soon as it has passed the end of any read with the name. Therefore the ends of all reads
    with the same name are chained.
    """

    def __cinit__(self):
        self.texts = Arena()

    def __dealloc__(self):
        free(self.names)
        free(self.stays)
        free(self.of_record)
        free(self.slots)

    cdef int begin(self, Py_ssize_t records) except -1:
        """Make room for the reads of a row group."""
        cdef Py_ssize_t slots = 2
        cdef uint32_t slot
        cdef int32_t i
        while slots < 2 * <Py_ssize_t> self.count:
            slots *= 2
        self.slots = <int32_t *> larger(self.slots, slots * sizeof(int32_t))
        self.of_record = <int32_t *> larger(self.of_record, (records + 1) * sizeof(int32_t))
        self.names = <Name *> larger(self.names, (self.count + records + 1) * sizeof(Name))
        self.stays = <Stay *> larger(self.stays, (self.staying + records + 1) * sizeof(Stay))
        self.known, self.mask = self.count, <uint32_t> (slots - 1)
        memset(self.slots, 0xFF, slots * sizeof(int32_t))
        memset(self.of_record, 0xFF, (records + 1) * sizeof(int32_t))
        for i in range(self.count):
            slot = hash_of(self.names[i].text) & self.mask
            while self.slots[slot] != NONE:
                slot = (slot + 1) & self.mask
            self.slots[slot] = i
        return 0

    cdef int32_t find(self, Text text) noexcept nogil:
        """The number of a name from earlier row groups, or NONE."""
        cdef uint32_t slot = hash_of(text) & self.mask
        cdef Text other
        while self.slots[slot] != NONE:
            other = self.names[self.slots[slot]].text
            if other.length == text.length and (not text.length or memcmp(other.chars, text.chars, text.length) == 0):
                return self.slots[slot]
            slot = (slot + 1) & self.mask
        return NONE

    cdef int32_t name_of(self, Py_ssize_t record, Text text) noexcept nogil:
        """The number of the name of a record; a new one if the name is new."""
        cdef int32_t number = self.of_record[record]
        if number == NONE:
            number = self.find(text)
        if number == NONE:
            number = self.count
            self.names[number] = Name(text, NONE, NONE, 0)
            self.count += 1
        self.of_record[record] = number
        return number

    cdef void forget(self, int32_t number) noexcept nogil:
        self.names[number].waiting = NONE

    cdef int32_t meet(self, int32_t i, int64_t end, int32_t number, int64_t at, bint overlaps,
                      bint waits) noexcept nogil:
        """Take read `i`. If its mate waits, return the mate; otherwise, return NONE, and let read `i` wait if its mate
        may still come.

        `end` is where the read ends, `number` that of its name, and `at` where the previous read begins. `overlaps`:
        the read may overlap its mate. `waits`: the mate comes later.
        """
        cdef Name *name = &self.names[number]
        cdef int32_t mate, stay = self.staying
        self.stays[stay] = Stay(<int32_t> end, number, name.latest)
        name.latest = stay
        self.staying += 1
        if name.waiting != NONE and name.until < at:
            name.waiting = NONE
        if overlaps and name.waiting != NONE:
            mate, name.waiting = name.waiting, NONE
            return mate
        if name.waiting != NONE:
            name.until = min(name.until, <int32_t> end)
        elif overlaps and waits:
            name.waiting = i
            name.until = self.first_end(stay, at)
        return NONE

    cdef int32_t first_end(self, int32_t stay, int64_t at) noexcept nogil:
        """The least end of a stay, and of earlier stays with the same name that end at `at` or later."""
        cdef int32_t least = self.stays[stay].end
        cdef int32_t k = self.stays[stay].earlier
        while k != NONE:
            if self.stays[k].end >= at:
                least = min(least, self.stays[k].end)
                stay = k
            else:
                self.stays[stay].earlier = self.stays[k].earlier
            k = self.stays[k].earlier
        return least

    cdef int mark(self, int32_t[::1] reads, int64_t at) except -1:
        """Set the elements of `reads` to 0 for reads that still wait. `at` is where the last read begins."""
        cdef int32_t i
        for i in range(self.count):
            if self.names[i].waiting != NONE and self.names[i].until >= at:
                reads[self.names[i].waiting] = 0
        return 0

    cdef int keep(self, const int32_t[::1] numbers, int64_t at) except -1:
        """End a row group: keep only the names of reads that end at `at` or later.

        `numbers` has the new number of each read. `at` is where the last read begins.
        """
        cdef int32_t i, k, count = 0, staying = 0
        cdef size_t live = 0
        cdef int32_t[::1] made
        cdef Stay stay
        cdef Name name
        cdef Arena texts = self.texts
        renamed = array("i", [NONE]) * (self.count + 1)
        made = renamed
        for k in range(self.staying):
            if self.stays[k].end >= at:
                made[self.stays[k].name] = 0
        for i in range(self.known):
            live += self.names[i].text.length if made[i] != NONE else 0
        if texts.size > 4 * live:
            texts = Arena()
        for i in range(self.count):
            if made[i] == NONE:
                continue
            name = self.names[i]
            if i >= self.known or texts is not self.texts:
                name.text.chars = <const uint8_t *> texts.copy(name.text.chars, name.text.length)
            name.waiting = numbers[name.waiting] if name.waiting != NONE and name.until >= at else NONE
            name.latest = NONE
            self.names[count], made[i] = name, count
            count += 1
        for k in range(self.staying):
            stay = self.stays[k]
            if stay.end >= at:
                stay.name = made[stay.name]
                stay.earlier, self.names[stay.name].latest = self.names[stay.name].latest, staying
                self.stays[staying] = stay
                staying += 1
        self.texts, self.count, self.staying = texts, count, staying
        return 0


cdef bint may_overlap(const Read *read, int reference_id, int next_ref, int64_t next_pos, int64_t length) noexcept nogil:
    """Whether htslib looks for the mate of a properly paired read. `length`: TLEN."""
    if read.flag & MUNMAP or (next_ref >= 0 and next_ref != reference_id):
        return False
    return (length if length >= 0 else -length) < 2 * <int64_t> read.l_seq or next_pos < read.end


cdef inline uint32_t hash_of(Text text) noexcept nogil:
    cdef uint64_t value = <uint64_t> text.length, word
    while text.length > 0:
        word = 0
        memcpy(&word, text.chars, min(text.length, 8))
        value = (value ^ word) * <uint64_t> 0x9E3779B97F4A7C15
        value ^= value >> 29
        text.chars += 8
        text.length -= 8
    return <uint32_t> (value ^ (value >> 32))


cdef void *larger(void *held, size_t size) except NULL:
    cdef void *found = realloc(held, size)
    if found == NULL:
        raise MemoryError(f"not enough memory for an array of {size} bytes")
    return found
