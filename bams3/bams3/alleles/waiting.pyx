"""Reads that wait for their mates, as in htslib's pileup: which two reads of a name are taken for overlapping mates."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from bams3.alleles.arena cimport Arena
from bams3.alleles.overlap cimport settle_overlap
from bams3.alleles.walk cimport Read
from bams3.bam.fields cimport MUNMAP

cdef enum:
    NONE = -1


cdef class Waiting:
    """Remembers, by name, the reads whose mates may still come. Reads are numbers in the array of a pile.

    htslib forgets a name when any read with it is past. So the reads with one name are chained.
    """

    def __cinit__(self):
        self.count = 0
        self.mask = 0

    def __dealloc__(self):
        free(self.names)
        free(self.of_read)
        free(self.earlier)
        free(self.of_record)
        free(self.slots)

    cdef int begin(self, const Read *carried, Py_ssize_t count, Py_ssize_t records) except -1:
        """Make room for a row group after `count` carried reads, whose names are known.

        Earlier piles have these reads, too. So where their qualities change, they change in a copy.
        """
        cdef Py_ssize_t slots = 2, i
        cdef uint32_t slot
        while slots < 2 * count:
            slots *= 2
        free(self.slots)
        free(self.of_record)
        self.slots = <int32_t *> malloc(slots * sizeof(int32_t))
        self.of_record = <int32_t *> malloc((records + 1) * sizeof(int32_t))
        self.names = <Name *> larger(self.names, (count + records + 1) * sizeof(Name))
        self.of_read = <int32_t *> larger(self.of_read, (count + records + 1) * sizeof(int32_t))
        self.earlier = <int32_t *> larger(self.earlier, (count + records + 1) * sizeof(int32_t))
        if self.slots == NULL or self.of_record == NULL:
            raise MemoryError(f"not enough memory for the names of {records} reads")
        self.mask = <uint32_t> (slots - 1)
        self.carried, self.changed = count, Arena()
        memset(self.slots, 0xFF, slots * sizeof(int32_t))
        memset(self.of_record, 0xFF, (records + 1) * sizeof(int32_t))
        for i in range(count):
            if self.of_read[i] != NONE and self.earlier[i] == NONE:
                slot = hash_of(carried[i].name, carried[i].name_length) & self.mask
                while self.slots[slot] != NONE:
                    slot = (slot + 1) & self.mask
                self.slots[slot] = <int32_t> i
        return 0

    cdef int32_t find(self, const Read *reads, const uint8_t *name, int length) noexcept nogil:
        """The number of a name that a carried read has, or NONE."""
        cdef uint32_t slot = hash_of(name, length) & self.mask
        cdef const Read *read
        while self.slots[slot] != NONE:
            read = &reads[self.slots[slot]]
            if read.name_length == length and memcmp(read.name, name, length) == 0:
                return self.of_read[self.slots[slot]]
            slot = (slot + 1) & self.mask
        return NONE

    cdef int32_t name_of(self, Py_ssize_t record, const Read *reads, const uint8_t *name, int length) noexcept nogil:
        """The number of the name of a record, a new one if need be."""
        cdef int32_t number = self.of_record[record]
        if number == NONE:
            number = self.find(reads, name, length)
        if number == NONE:
            number = self.count
            self.names[number] = Name(NONE, NONE, 0)
            self.count += 1
        self.of_record[record] = number
        return number

    cdef void forget(self, int32_t number) noexcept nogil:
        self.names[number].waiting = NONE

    cdef bint meet(self, Read *reads, int32_t i, int32_t number, int64_t at, bint overlaps, bint waits) except -1 nogil:
        """Take a read: settle it with its mate if that waits, or let it wait. False if one of both has too few bases.

        `at`: where the read before begins. `overlaps`: the read may overlap its mate; `waits`: and that is yet to come.
        """
        cdef Name *name = &self.names[number]
        cdef int32_t mate
        self.of_read[i], self.earlier[i] = number, name.latest
        name.latest = i
        if name.waiting != NONE and name.until < at:
            name.waiting = NONE
        if overlaps and name.waiting != NONE:
            mate, name.waiting = name.waiting, NONE
            if mate < self.carried:
                reads[mate].qual = <uint8_t *> self.changed.copy(reads[mate].qual, reads[mate].l_seq)
            return settle_overlap(&reads[mate], &reads[i], at)
        if name.waiting != NONE:
            name.until = min(name.until, reads[i].end)
        elif overlaps and waits:
            name.waiting = i
            name.until = self.first_end(reads, i, at)
        return True

    cdef int64_t first_end(self, const Read *reads, int32_t i, int64_t at) noexcept nogil:
        """The least end of read `i` and those before it with its name that are not past."""
        cdef int64_t least = reads[i].end
        cdef int32_t k = self.earlier[i]
        while k != NONE:
            if reads[k].end >= at:
                least = min(least, reads[k].end)
                i = k
            else:
                self.earlier[i] = self.earlier[k]
            k = self.earlier[k]
        return least

    cdef int keep(self, const int32_t *kept, Py_ssize_t count, int64_t at) except -1:
        """Renumber: of all reads, only those that `kept` lists stay, in this order. `at`: where the last one begins."""
        cdef Name *names = <Name *> malloc((count + 1) * sizeof(Name))
        cdef int32_t *numbers = <int32_t *> malloc((self.count + 1) * sizeof(int32_t))
        cdef int32_t number, old, made = 0
        cdef Py_ssize_t i
        if names == NULL or numbers == NULL:
            free(names)
            free(numbers)
            raise MemoryError(f"not enough memory for the names of {count} reads")
        memset(numbers, 0xFF, (self.count + 1) * sizeof(int32_t))
        for i in range(count):
            old = self.of_read[kept[i]]
            if old == NONE:
                self.of_read[i] = self.earlier[i] = NONE
                continue
            if numbers[old] == NONE:
                numbers[old] = made
                names[made] = Name(NONE, NONE, self.names[old].until)
                made += 1
            number = numbers[old]
            if self.names[old].waiting == kept[i] and self.names[old].until >= at:
                names[number].waiting = <int32_t> i
            self.of_read[i], self.earlier[i] = number, names[number].latest
            names[number].latest = <int32_t> i
        free(numbers)
        free(self.names)
        self.names, self.count = names, made
        return 0


cdef bint may_overlap(const Read *read, int reference_id, int next_ref, int64_t next_pos, int64_t length) noexcept nogil:
    """Whether htslib looks for the mate of a properly paired read. `length`: TLEN."""
    if read.flag & MUNMAP or (next_ref >= 0 and next_ref != reference_id):
        return False
    return (length if length >= 0 else -length) < 2 * <int64_t> read.l_seq or next_pos < read.end


cdef inline uint32_t hash_of(const uint8_t *name, int length) noexcept nogil:
    cdef uint64_t value = <uint64_t> length, word
    while length > 0:
        word = 0
        memcpy(&word, name, min(length, 8))
        value = (value ^ word) * <uint64_t> 0x9E3779B97F4A7C15
        value ^= value >> 29
        name += 8
        length -= 8
    return <uint32_t> (value ^ (value >> 32))


cdef void *larger(void *held, size_t size) except NULL:
    cdef void *found = realloc(held, size)
    if found == NULL:
        raise MemoryError(f"not enough memory for an array of {size} bytes")
    return found
