"""Text of BED files (runs of equal depth, runs within one depth bin, and other lines), and their CSI index."""

import struct
from array import array

from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memmove

from bams3.buffer cimport Buffer
from bams3.coverage.depth cimport Depth, Part
from bams3.coverage.digits cimport DIGITS, Number, advance, decimal, put_number, two_digits

cdef enum:
    MIN_SHIFT = 14        # CSI: 2 ** 14 bases per leaf bin
    NO_BIN = 0xFFFFFFFF
    PORTION = 1 << 20       # kernels return once the text is this long, so that it can be written
    SHORT = 16            # shorter names of contigs are copied in one step

cdef struct IndexChunk:
    unsigned long long begin
    unsigned long long end
    unsigned long long bin

cdef enum:
    UCSC = 0x10000        # tabix preset: 0-based, half-open


cdef inline char *put_interval(BedText self, long long start, long long end, size_t more) except NULL nogil:
    """Write contig, start and end of a line; return where the rest goes, for which ``more`` bytes are reserved."""
    cdef size_t size = self.prefix_length + SHORT + 2 * DIGITS + more + 3
    cdef char *out
    if self.text.size + size > self.text.capacity:
        self.text.reserve(size)
    out = <char *> self.text.data + self.text.size
    memcpy(out, self.prefix, SHORT)
    if self.prefix_length > SHORT:
        memcpy(out, self.prefix, self.prefix_length)
    # Most lines begin where the previous one ended, and end a few bases later.
    if start != self.last_end:
        self.last = decimal(<unsigned long long> start)
    out = put_number(out + self.prefix_length, &self.last)
    out[0] = 9
    if not advance(&self.last, <unsigned long long> (end - start)):
        self.last = decimal(<unsigned long long> end)
    self.last_end = end
    out = put_number(out + 1, &self.last)
    out[0] = 9
    return out + 1


cdef inline int end_line(BedText self, char *out, long long start, long long end) except -1 nogil:
    """End the line whose last byte is just before ``out``, and index it."""
    cdef unsigned long long begin = self.flushed + self.text.size
    out[0] = 10
    self.text.size = <size_t> (out + 1 - <char *> self.text.data)
    if start >> MIN_SHIFT == self.leaf and max(end - 1, start) >> MIN_SHIFT == self.leaf:
        self.bin_end = self.flushed + self.text.size  # in the same bin as the previous line, the smallest one
        return 0
    return self.index(start, end, begin)


cdef class BedText:
    """BED lines in file order, indexed as they are added.

    The index's ``levels`` must cover the longest contig (`levels_for`). For each contig, call `begin`, then add lines
    in order of start: with `add`, with `add_runs` and `end_runs`, or with `add_bins`. The owner may call `take` at any
    time to write the text; the index keeps offsets in the uncompressed text.
    """

    def __cinit__(self, int levels, bytes header=b""):
        self.text = Buffer(PORTION + 65536)
        self.flushed = 0
        self.levels = levels
        self.indexed = {}
        self.chunks, self.linear = Buffer(), Buffer()
        self.bin = NO_BIN
        self.last_end = self.run_start = -1
        self.begin(b"")
        if header:
            self.text.put(<const char *> header, len(header))

    def begin(self, bytes contig not None):
        """Start the lines of a contig."""
        self._end_contig()
        self.contig, self.column = contig, contig + b"\t" + bytes(SHORT)
        self.prefix, self.prefix_length = self.column, len(contig) + 1

    def take(self, size_t multiple=1):
        """Return and remove the pending text, as bytes: the largest multiple of ``multiple`` bytes."""
        cdef size_t size = self.text.size - self.text.size % multiple
        taken = (<char *> self.text.data)[:size]
        self.text.size -= size
        memmove(self.text.data, self.text.data + size, self.text.size)
        self.flushed += size
        return taken

    @property
    def pending(self):
        """Number of bytes of text that have not been taken."""
        return self.text.size

    def add(self, long long start, long long end, bytes rest not None):
        """Add a line of contig, start, end and ``rest``: all other columns, with tabs between them."""
        self.put_line(start, end, rest)

    cdef int put_line(self, long long start, long long end, bytes rest) except -1:
        cdef size_t length = len(rest)
        cdef char *out = put_interval(self, start, end, length)
        memcpy(out, <const char *> rest, length)
        return end_line(self, out + length, start, end)

    def add_means(self, const long long[::1] starts, const long long[::1] ends, list names, const double[::1] means,
                  int decimals, Py_ssize_t number=0):
        """Add lines of intervals with their names, if any, and means, from interval ``number`` on. Returns the number
        of the next interval, because it stops when much text is pending."""
        cdef bytes text = b""
        cdef double mean = float("nan")
        while number < starts.shape[0] and self.text.size < PORTION:
            if means[number] != mean:
                mean = means[number]
                text = b"%#.*f" % (decimals, mean)
            name = names[number] if names else None
            self.put_line(starts[number], ends[number], b"%s\t%s" % (name, text) if name else text)
            number += 1
        return number

    def add_counts(self, const long long[::1] starts, const long long[::1] ends, list names, const long long[::1] counts,
                   Py_ssize_t number=0):
        """Add lines of intervals with names and a row of counts each, from interval ``number`` on. Returns the number
        of the next interval."""
        cdef Py_ssize_t width = counts.shape[0] // max(starts.shape[0], 1)
        cdef const long long *row = NULL
        cdef bytes text = b""
        while number < starts.shape[0] and self.text.size < PORTION:
            if row == NULL or memcmp(row, &counts[number * width], width * sizeof(long long)):
                row = &counts[number * width]
                text = b"".join(b"\t%d" % row[k] for k in range(width))
            name = names[number] if names else None
            self.put_line(starts[number], ends[number], (name or b"unknown") + text)
            number += 1
        return number

    def add_runs(self, Depth depth not None, long long position):
        """Add lines for the runs of equal depth from a position of the contig on; return the next position.

        ``depth`` may be that of only some positions, if calls are made in order. A run is written as soon as its end is
        known; `end_runs` writes the last one.
        """
        cdef long long start = depth.start, stop = start + depth.length
        cdef Py_ssize_t near = 0
        cdef Part part
        with nogil:
            while position < stop and self.text.size < PORTION:
                part = depth.part(position - start, &near)
                position = self.put_runs(part.values, part.value, position, start + part.end)
        return position

    cdef long long put_runs(self, const int *values, int value, long long position, long long stop) except -1 nogil:
        """Add lines for runs of ``values`` (or, if NULL, of the depth ``value``), up to ``stop`` or until PORTION bytes
        are pending. Returns the next position."""
        cdef long long i = 0, count = stop - position
        while i < count and self.text.size < PORTION:
            if values != NULL:
                value = values[i]
            if self.run_start < 0 or value != self.run_value:
                if self.run_start >= 0:
                    self.put_run(position + i)
                self.run_start, self.run_value = position + i, value
            if values == NULL:
                return stop
            i += 1
            while i < count and values[i] == value:
                i += 1
        return position + i

    def end_runs(self, long long position):
        """Add the line of the contig's last run, which ends at ``position``."""
        if self.run_start >= 0:
            self.put_run(position)
        self.run_start = -1

    cdef int put_run(self, long long end) except -1 nogil:
        cdef char *out = put_interval(self, self.run_start, end, DIGITS)
        cdef Number number
        cdef unsigned long long pair
        if 10 <= self.run_value < 100:
            pair = two_digits(<unsigned long long> self.run_value)
            memcpy(out, &pair, 2)
            out += 2
        else:
            number = decimal(<unsigned long long> max(self.run_value, 0))
            out = put_number(out, &number)
        return end_line(self, out, self.run_start, end)

    def add_bins(self, Depth depth not None, const long long[::1] bounds, list labels, long long position=0):
        """Add lines for the runs of positions in the same depth bin, from ``position`` on; return the next position.

        Bin k is ``bounds[k] <= depth < bounds[k + 1]``; depths outside all bins get no line. As in mosdepth, the depth
        of the contig's last base is ignored: it is on the line of the base before it.
        """
        cdef long long length = depth.length, last = max(length - 1, 1), end, further
        cdef int value = 0
        cdef Py_ssize_t near = 0
        cdef Py_ssize_t number
        while position < length and self.text.size < PORTION:
            with nogil:
                end = run_end(depth, position, &value, &near)
                number = bin_of(value, bounds)
                while end < last:
                    further = run_end(depth, end, &value, &near)
                    if bin_of(value, bounds) != number:
                        break
                    end = further
            if end >= last:
                end = length
            if number >= 0:
                self.add(position, end, labels[number])
            position = end
        return position

    cdef int index(self, long long start, long long end, unsigned long long begin) except -1 nogil:
        """Index the line that was just added: its bin, and the first line that reaches each leaf window."""
        cdef long long leaf = start >> MIN_SHIFT, last = (max(end, start + 1) - 1) >> MIN_SHIFT
        cdef long long most = (1LL << (3 * self.levels)) - 1
        cdef unsigned int number
        leaf, last = min(leaf, most), min(last, most)
        while self.linear.size >> 3 <= <size_t> last:
            self.linear.put_u64(begin)
        number = bin_number(leaf, last, self.levels)
        if number != self.bin:
            self._end_bin()
            self.bin, self.bin_begin = number, begin
            self.leaf = leaf if leaf == last else -1
        self.bin_end = self.flushed + self.text.size
        return 0

    cdef int _end_bin(self) except -1 nogil:
        cdef IndexChunk chunk
        if self.bin != NO_BIN:
            chunk = IndexChunk(self.bin_begin, self.bin_end, self.bin)
            self.chunks.put(&chunk, sizeof(IndexChunk))
        self.bin, self.leaf = NO_BIN, -1
        return 0

    def _end_contig(self):
        self._end_bin()
        if self.chunks.size:
            qsort(self.chunks.data, self.chunks.size // sizeof(IndexChunk), sizeof(IndexChunk), &by_bin)
            chunks, linear = array("Q", bytes(self.chunks)), array("Q", bytes(self.linear))
            self.indexed[self.contig] = (chunks, linear)
        self.chunks.size = self.linear.size = 0

    def csi(self, const unsigned long long[::1] block_offsets not None, unsigned long long block_size):
        """Return the CSI index (uncompressed) of all lines, once all have been added.

        ``block_offsets`` has the file offset of each BGZF block, and of the end of the last one. Each block has
        ``block_size`` bytes of text.
        """
        cdef Buffer out = Buffer()
        self._end_contig()
        names = b"".join(name + b"\0" for name in self.indexed)
        tabix = struct.pack("<7i", UCSC, 1, 2, 3, ord("#"), 0, len(names)) + names
        head = struct.pack("<4s3i", b"CSI\1", MIN_SHIFT, self.levels, len(tabix)) + tabix
        out.put(<const char *> head, len(head))
        out.put_u32(len(self.indexed))
        for chunks, linear in self.indexed.values():
            put_bins(out, chunks, linear, self.levels, block_offsets, block_size)
        out.put_u64(0)
        return bytes(out)


cdef int put_bins(Buffer out, const unsigned long long[::1] chunks, const unsigned long long[::1] linear, int levels,
                  const unsigned long long[::1] block_offsets, unsigned long long block_size) except -1:
    """Write a contig's part of the index, from its chunks (as words, sorted by bin) and the offset of the first line
    that reaches each leaf window."""
    cdef Py_ssize_t count = chunks.shape[0] // 3, bins = 0, first = 0, stop, k
    cdef unsigned long long number
    for k in range(count):
        bins += k == 0 or chunks[3 * k + 2] != chunks[3 * k - 1]
    out.put_u32(<unsigned int> bins)
    while first < count:
        number = chunks[3 * first + 2]
        stop = first + 1
        while stop < count and chunks[3 * stop + 2] == number:
            stop += 1
        k = min(first_leaf(number, levels), linear.shape[0] - 1)
        out.put_u32(<unsigned int> number)
        out.put_u64(virtual(linear[k], block_offsets, block_size))
        out.put_u32(<unsigned int> (stop - first))
        for k in range(first, stop):
            out.put_u64(virtual(chunks[3 * k], block_offsets, block_size))
            out.put_u64(virtual(chunks[3 * k + 1], block_offsets, block_size))
        first = stop
    return 0


cdef inline unsigned long long virtual(unsigned long long offset, const unsigned long long[::1] block_offsets,
                                       unsigned long long block_size) noexcept:
    """Return the BGZF virtual offset of a byte of the text."""
    return block_offsets[<Py_ssize_t> (offset // block_size)] << 16 | offset % block_size


cdef int by_bin(const void *a, const void *b) noexcept nogil:
    """Compare chunks by bin, and within a bin by file order."""
    cdef const IndexChunk *one = <const IndexChunk *> a
    cdef const IndexChunk *other = <const IndexChunk *> b
    if one.bin != other.bin:
        return 1 if one.bin > other.bin else -1
    return (one.begin > other.begin) - (one.begin < other.begin)


cdef inline long long run_end(Depth depth, long long position, int *value, Py_ssize_t *near) noexcept nogil:
    """Return where a run of equal depth that begins at ``position`` ends, or up to where it is known; set its depth."""
    cdef Part part = depth.part(position, near)
    cdef long long i = 1
    value[0] = part.value if part.values == NULL else part.values[0]
    if part.values == NULL:
        return part.end
    while i < part.end - position and part.values[i] == value[0]:
        i += 1
    return position + i


cdef inline Py_ssize_t bin_of(int value, const long long[::1] bounds) noexcept nogil:
    """Return the first bin that begins at this depth, or otherwise the last bin that begins below it; -1 outside all
    bins."""
    cdef Py_ssize_t k, last = bounds.shape[0] - 1
    for k in range(last):
        if bounds[k] >= value:
            return k if bounds[k] == value else k - 1
    return last - 1 if value < bounds[last] else -1


cdef inline unsigned int bin_number(long long leaf, long long last, int levels) noexcept nogil:
    """Return the number of the smallest bin that contains both leaf windows."""
    cdef int level = levels
    while leaf != last:
        leaf >>= 3
        last >>= 3
        level -= 1
    return <unsigned int> (((1LL << (3 * level)) - 1) // 7 + leaf)


cdef inline long long first_leaf(long long number, int levels) noexcept nogil:
    """Return the first leaf window of a bin."""
    cdef int level = 0
    while number >= ((1LL << (3 * (level + 1))) - 1) // 7:
        level += 1
    return (number - ((1LL << (3 * level)) - 1) // 7) << (3 * (levels - level))


def levels_for(long long length):
    """Return how many levels of bins an index of positions below ``length`` needs."""
    levels = 0
    while length > 1 << (MIN_SHIFT + 3 * levels):
        levels += 1
    return levels
