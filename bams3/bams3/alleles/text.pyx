"""Lines of samtools mpileup, from piles.

Lines are made for a few thousand positions at a time. A first pass over the reads at these positions computes the size
of each line, so a second pass can write each base right where it belongs: read by read, not position by position.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from bams3.alleles.piles cimport Pile
from bams3.alleles.placing cimport (
    CODES, LETTERS, Options, Window, digits, fill_letters, measure, place, power_of_ten,
)
from bams3.alleles.walk cimport Read, Run, first_run, next_run
from bams3.buffer cimport Buffer
from bams3.coverage.digits cimport Number, advance, decimal, put_number
from bams3.decimal cimport put_unsigned

from bams3.errors import UsageError

cdef enum:
    WIDEST = 4096            # the most positions that are worked on at a time
    BASES = 1 << 18          # bases at these positions, approximately
    HEAD = 20                # bytes of a line in addition to the contig, bases and qualities
    MANY = 32 << 20          # bytes of lines that are made at a time
    ROOM = 24 << 20          # bytes that are reserved for lines at first
    SLACK = 32               # bytes that `put_unsigned` and the unpacking of bases may write past the end
    NOWHERE = -1000
    LONGEST = 0x7FFFFFFF      # the most bytes of a line

fill_letters()


cdef class Lines:
    """Makes the lines of one contig.

    Parameters
    ----------
    contig
        Name of the contig.
    min_quality
        Bases with a lower quality are not printed.
    mapq, places
        Print the columns of samtools' options `-s` and `-O`.
    reverse_del
        Print deletions of reads on the reverse strand as #.
    fill
        Also print positions without reads.
    """

    cdef bytes contig
    cdef Options options
    cdef bint fill

    def __init__(self, bytes contig, *, int min_quality, bint mapq, bint places, bint reverse_del, bint fill):
        self.contig, self.fill = contig, fill
        self.options = Options(min(max(min_quality, 0), 256), mapq, places, reverse_del, NULL, 0, 0)

    def of(self, Pile pile, const int64_t[::1] starts not None, const int64_t[::1] ends not None, int64_t begin,
           int64_t stop, reference=None):
        """Return the lines of the positions in [begin, stop) that lie in an interval [starts[k], ends[k]), as a Buffer.

        Intervals must be sorted and disjoint. `reference` has the bases of the reference from `begin` on, as far as any
        deletion reaches.
        """
        cdef const uint8_t[::1] bases = reference
        cdef Maker maker = Maker(self.contig, self.fill)
        cdef Py_ssize_t k
        if starts.shape[0] != ends.shape[0]:
            raise ValueError(f"{starts.shape[0]} starts do not match {ends.shape[0]} ends")
        maker.options = self.options
        if bases is not None:
            maker.options.reference = &bases[0] if bases.shape[0] else <const uint8_t *> b""
            maker.options.reference_start, maker.options.reference_length = begin, bases.shape[0]
        maker.open(pile, begin, stop)
        with nogil:
            for k in range(starts.shape[0]):
                if ends[k] > begin and starts[k] < stop:
                    maker.stretch(max(starts[k], begin), min(ends[k], stop))
        return maker.text


cdef class Maker:
    """The state of a walk over a pile."""

    cdef Buffer text
    cdef bytes contig
    cdef bytes padded
    cdef const char *name            # followed by a tab, and padding
    cdef size_t name_length
    cdef bint fill
    cdef Options options
    cdef Pile pile
    cdef Py_ssize_t next             # the first read that the walk has not reached
    cdef Py_ssize_t active           # the number of reads that it has reached and that have not ended
    cdef int32_t *reads              # indices of the active reads
    cdef Run *runs                   # the current run of each active read
    cdef Window window
    cdef uint8_t *room

    def __cinit__(self, bytes contig, bint fill):
        self.contig, self.fill, self.text = contig, fill, Buffer()
        self.padded = contig + b"\t" + bytes(16)
        self.name, self.name_length = self.padded, len(contig)

    def __dealloc__(self):
        free(self.reads)
        free(self.runs)
        free(self.room)

    cdef int open(self, Pile pile, int64_t begin, int64_t stop) except -1:
        """Reserve room for the lines of [begin, stop). More may be added later."""
        cdef Window *window = &self.window
        cdef size_t wide = WIDEST + SLACK
        cdef int64_t size = (stop - begin) * (<int64_t> self.name_length + HEAD)
        cdef Py_ssize_t i
        for i in range(pile.count):
            size += 2 * max(min(pile.reads[i].end, stop) - max(pile.reads[i].pos, begin), 0)
        self.text.reserve(min(size, <int64_t> ROOM))
        self.pile, self.next, self.active = pile, 0, 0
        self.reads = <int32_t *> malloc((pile.count + 1) * sizeof(int32_t))
        self.runs = <Run *> malloc((pile.count + 1) * sizeof(Run))
        self.room = <uint8_t *> malloc(wide * (2 * sizeof(uint64_t) + 6 * sizeof(uint32_t) + 5))
        if self.reads == NULL or self.runs == NULL or self.room == NULL:
            raise MemoryError(f"not enough memory for a pile of {pile.count} reads")
        window.more = <uint64_t *> self.room
        window.cursor = window.more + wide
        window.count = <uint32_t *> (window.cursor + wide)
        window.width = window.count + wide
        window.change = <int32_t *> (window.width + wide)
        window.head = <uint32_t *> (window.change + wide)
        window.mapq = window.head + wide
        window.place = window.mapq + wide
        window.letters = <uint8_t *> (window.place + wide)
        window.qualities = window.letters + wide
        window.printed = window.qualities + wide
        window.passes = window.printed + wide
        window.agreeing = window.passes + wide
        return 0

    cdef int stretch(self, int64_t start, int64_t stop) except -1 nogil:
        """Append the lines of [start, stop)."""
        cdef int64_t size
        while start < stop:
            self.drop(start)
            if not self.active and not self.fill:
                self.skip(start)
                if self.next == self.pile.count:
                    return 0
                start = max(start, max(self.pile.reads[self.next].pos, self.pile.least))
                if start >= stop:
                    return 0
            size = self.meet(start, min(stop - start, <int64_t> WIDEST))
            while not self.put(start, start + size):
                size = max(size // 2, 1)
            start += size
        return 0

    cdef void drop(self, int64_t start) noexcept nogil:
        """Remove the active reads that end before a position."""
        cdef Py_ssize_t i, kept = 0
        for i in range(self.active):
            if self.pile.reads[self.reads[i]].end > start:
                if kept < i:
                    self.reads[kept], self.runs[kept] = self.reads[i], self.runs[i]
                kept += 1
        self.active = kept

    cdef void skip(self, int64_t start) noexcept nogil:
        """Skip the next reads as long as they end before a position, or cover no position."""
        cdef const Read *reads = self.pile.reads
        while self.next < self.pile.count and (
            reads[self.next].end <= max(start, self.pile.least) or reads[self.next].end == reads[self.next].pos
        ):
            self.next += 1

    cdef int64_t meet(self, int64_t start, int64_t size) noexcept nogil:
        """Make the reads active that begin in a window at `start`. Returns the window's size: `size`, or less if there
        are many bases."""
        cdef const Read *read
        cdef int64_t bases = 0
        cdef Py_ssize_t i
        if self.active * size > BASES:
            size = max(BASES // self.active, 1)
        for i in range(self.active):
            bases += min(self.pile.reads[self.reads[i]].end - start, size)
        while self.next < self.pile.count and self.pile.reads[self.next].pos < start + size:
            read = &self.pile.reads[self.next]
            if bases > BASES:
                if read.pos > start:
                    return read.pos - start
                size = max(BASES // self.active, 1)
            if read.end > start and first_run(&self.runs[self.active], read, self.pile.least):
                self.reads[self.active] = <int32_t> self.next
                self.active += 1
                bases += min(read.end, start + size) - max(read.pos, start)
            self.next += 1
        return size

    cdef int put(self, int64_t start, int64_t stop) except -1 nogil:
        """Append the lines of [start, stop); return 0 if they have too many bytes to be made at once."""
        cdef Window *window = &self.window
        cdef Py_ssize_t i
        cdef size_t wide = <size_t> (stop - start), k
        cdef const Read *read
        cdef Run run
        cdef uint64_t total
        window.start, window.stop = start, stop
        memset(window.more, 0, wide * 8)
        memset(window.count, 0, wide * 4)
        memset(window.width, 0, wide * 4)
        memset(window.change, 0, (wide + 1) * 4)
        for i in range(self.active):
            read, run = &self.pile.reads[self.reads[i]], self.runs[i]
            if read.pos >= stop:
                continue
            window.change[max(max(read.pos, self.pile.least) - start, 0)] += 1
            window.change[min(read.end, stop) - start] -= 1
            while run.first < stop:
                if run.last > start:
                    measure(window, &self.options, read, &run)
                if run.last >= stop or not next_run(&run, read):
                    break
        total = self.lay_out()
        if total > MANY and wide > 1:
            return 0
        if total > LONGEST:
            with gil:
                raise UsageError(
                    f"{self.contig.decode('utf-8', 'surrogateescape')}:{start + 1}: the line of this position would be too "
                    f"long, {total} bytes; leave out reads with -q, --ff or -d"
                )
        self.text.reserve(total + SLACK)
        self.write_heads()
        for i in range(self.active):
            read = &self.pile.reads[self.reads[i]]
            if read.pos >= stop:
                continue
            while self.runs[i].first < stop:
                if self.runs[i].last > start:
                    place(window, &self.options, read, &self.runs[i])
                if self.runs[i].last >= stop or not next_run(&self.runs[i], read):
                    break
        for k in range(wide):
            if window.cursor[k]:
                self.write_separators(k)
        self.text.size += total
        return 1

    cdef uint64_t lay_out(self) noexcept nogil:
        """Find where the parts of each line begin; return the number of bytes of all lines."""
        cdef Window *window = &self.window
        cdef uint64_t at = 0, letters, number
        cdef int64_t depth = 0
        cdef Py_ssize_t k
        cdef uint32_t count
        cdef uint64_t limit = 0
        cdef size_t before = 0
        for k in range(window.stop - window.start):
            depth += window.change[k]
            window.change[k] = <int32_t> (depth > 0)
            if depth <= 0 and not self.fill:
                window.cursor[k] = 0
                continue
            count, number = window.count[k], <uint64_t> (window.start + k + 1)
            window.head[k] = <uint32_t> at
            if number >= limit:
                before = digits(number)
                limit = power_of_ten(before)
                before += self.name_length + 5
            at += before + digits(count)
            letters = max(count + window.more[k], 1) + 1
            if at + letters > LONGEST:
                return at + letters
            window.cursor[k] = at | (at + letters) << 32
            at += letters + max(count, 1) + 1
            if self.options.mapq:
                window.mapq[k] = <uint32_t> at
                at += max(count, 1) + 1
            if self.options.places:
                window.place[k] = <uint32_t> at
                at += (window.width[k] + count if count else 2)
            if at > LONGEST:
                return at
        return at

    cdef void write_heads(self) noexcept nogil:
        """Write contig, position, reference base and depth of each line."""
        cdef Window *window = &self.window
        cdef size_t length = self.name_length + 1, k
        cdef Number number = decimal(0)
        cdef int64_t last = NOWHERE, position
        cdef uint8_t *out
        cdef uint8_t base, code
        cdef int64_t at
        window.out = self.text.data + self.text.size
        for k in range(<size_t> (window.stop - window.start)):
            at = window.start + k - self.options.reference_start
            base = b"N"
            if self.options.reference != NULL:
                if 0 <= at < self.options.reference_length:
                    base = self.options.reference[at]
                code = CODES[base]
                window.agreeing[k] = LETTERS[0][code]
            if not window.cursor[k]:
                continue
            position = window.start + k + 1
            if position - last > 99 or not advance(&number, <uint64_t> (position - last)):
                number = decimal(<uint64_t> position)
            last = position
            out = window.out + window.head[k]
            if length <= 16:
                memcpy(out, self.name, 16)
            else:
                memcpy(out, self.name, length)
            out = <uint8_t *> put_number(<char *> out + length, &number)
            out[0] = b"\t"
            out[1] = base
            out[2] = b"\t"
            out = put_unsigned(out + 3, window.count[k])
            out[0] = b"\t"

    cdef void write_separators(self, size_t k) noexcept nogil:
        """Write the separators between columns and the end of a line, and * in empty columns."""
        cdef Window *window = &self.window
        cdef uint8_t *letter = window.out + <uint32_t> window.cursor[k]
        cdef uint8_t *last = window.out + (window.cursor[k] >> 32)
        if not window.count[k]:
            letter[0] = last[0] = b"*"
            letter += 1
            last += 1
        letter[0] = b"\t"
        if self.options.mapq:
            last[0] = b"\t"
            last = window.out + window.mapq[k]
            if not window.count[k]:
                last[0] = b"*"
                last += 1
        if self.options.places:
            last[0] = b"\t"
            last = window.out + window.place[k]
            if window.count[k]:
                last -= 1  # the last comma
            else:
                last[0] = b"*"
                last += 1
        last[0] = b"\n"
