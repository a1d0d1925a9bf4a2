"""Text of BED files: runs of equal depth, of one depth bin, or any other line; and its CSI index."""

import struct
from array import array
from itertools import groupby
from operator import itemgetter

from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.operations.coverage.depth cimport Depth

cdef enum:
    MIN_SHIFT = 14        # CSI: 2 ** 14 bases a leaf bin
    NO_BIN = 0xFFFFFFFF
    PIECE = 1 << 20       # kernels return to have the text written once it is this long
    MOST_DIGITS = 20

cdef struct Chunk:
    unsigned long long begin
    unsigned long long end
    unsigned long long bin

cdef enum:
    UCSC = 0x10000        # tabix preset: 0-based, half-open


cdef inline size_t digits(unsigned long long value, char *out) noexcept nogil:
    """Write a number in decimal; returns how many digits."""
    cdef char reversed_digits[MOST_DIGITS]
    cdef size_t n = 0, i
    while value >= 10:
        reversed_digits[n] = <char> (48 + value % 10)
        value //= 10
        n += 1
    reversed_digits[n] = <char> (48 + value)
    n += 1
    for i in range(n):
        out[i] = reversed_digits[n - 1 - i]
    return n


cdef class BedText:
    """BED lines in file order, indexed as they come.

    ``levels`` of the index must cover the longest contig (`levels_for`). Per contig: `begin`, then lines
    in order of start (`add`, `add_runs`, `add_bins`). The owner writes out ``bytes(text)`` and calls
    `flush`, as often as it likes; offsets in the index are those of the uncompressed text.
    """

    def __cinit__(self, int levels, bytes header=b""):
        self.text = Buffer(PIECE + 65536)
        self.flushed = 0
        self.levels = levels
        self.indexed = {}
        self.chunks, self.linear = Buffer(), Buffer()
        self.bin = NO_BIN
        self.begin(b"")
        if header:
            self.text.put(<const char *> header, len(header))

    def begin(self, bytes contig not None):
        """Start the lines of a contig."""
        self._end_contig()
        self.contig, self.column = contig, contig + b"\t"
        self.prefix, self.prefix_length = self.column, len(self.column)

    def take(self):
        """The text since the last call, as bytes."""
        taken = bytes(self.text)
        self.flushed += self.text.size
        self.text.size = 0
        return taken

    @property
    def pending(self):
        """Bytes of text that have not been taken."""
        return self.text.size

    def add(self, long long start, long long end, bytes rest not None):
        """A line: contig, start, end and ``rest``, which holds its own tabs."""
        self.put(start, end, rest, len(rest))

    def add_runs(self, Depth depth not None, long long position=0):
        """Lines for the runs of equal depth from ``position`` on; returns where to go on."""
        cdef char value_text[MOST_DIGITS]
        cdef long long end
        cdef int value = 0
        cdef size_t length
        with nogil:
            while position < depth.span.length and self.text.size < PIECE:
                end = run_end(depth, position, &value)
                length = digits(<unsigned long long> max(value, 0), value_text)
                self.put(position, end, value_text, length)
                position = end
        return position

    def add_bins(self, Depth depth not None, const long long[::1] bounds, list labels, long long position=0):
        """Lines for the runs within one depth bin from ``position`` on; returns where to go on.

        Bin k is ``bounds[k] <= depth < bounds[k + 1]``; depths outside all bins get no line. As in mosdepth
        the contig's last base is not looked at: it shares the line of the base before it.
        """
        cdef long long length = depth.span.length, last = max(length - 1, 1), end, further
        cdef int value = 0
        cdef Py_ssize_t number
        while position < length and self.text.size < PIECE:
            with nogil:
                end = run_end(depth, position, &value)
                number = bin_of(value, bounds)
                while end < last:
                    further = run_end(depth, end, &value)
                    if bin_of(value, bounds) != number:
                        break
                    end = further
            if end >= last:
                end = length
            if number >= 0:
                self.add(position, end, labels[number])
            position = end
        return position

    cdef int put(self, long long start, long long end, const char *rest, size_t length) except -1 nogil:
        cdef unsigned long long begin = self.flushed + self.text.size
        cdef char *out
        cdef size_t size = self.prefix_length + length + 2 * MOST_DIGITS + 3
        if self.text.size + size > self.text.capacity:
            self.text.reserve(size)
        out = <char *> self.text.data + self.text.size
        memcpy(out, self.prefix, self.prefix_length)
        out += self.prefix_length
        out += digits(<unsigned long long> start, out)
        out[0] = 9
        out += 1
        out += digits(<unsigned long long> end, out)
        out[0] = 9
        memcpy(out + 1, rest, length)
        out += 1 + length
        out[0] = 10
        self.text.size = <size_t> (out + 1 - <char *> self.text.data)
        return self.index(start, end, begin)

    cdef int index(self, long long start, long long end, unsigned long long begin) except -1 nogil:
        """Enter the line that was just put: its bin, and the first line to reach each leaf window."""
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
        self.bin_end = self.flushed + self.text.size
        return 0

    cdef int _end_bin(self) except -1 nogil:
        cdef Chunk chunk
        if self.bin != NO_BIN:
            chunk = Chunk(self.bin_begin, self.bin_end, self.bin)
            self.chunks.put(&chunk, sizeof(Chunk))
        self.bin = NO_BIN
        return 0

    def _end_contig(self):
        self._end_bin()
        if self.chunks.size:
            chunks, linear = array("Q", bytes(self.chunks)), array("Q", bytes(self.linear))
            self.indexed[self.contig] = (chunks, linear)
        self.chunks.size = self.linear.size = 0

    def csi(self, block_offsets, Py_ssize_t block_size):
        """The CSI index (uncompressed) of all lines, once they are all there.

        ``block_offsets`` are the file offsets of the BGZF blocks, of ``block_size`` bytes of text each, and
        of what follows them.
        """
        self._end_contig()

        def virtual(offset):
            return block_offsets[offset // block_size] << 16 | offset % block_size

        names = b"".join(name + b"\0" for name in self.indexed)
        tabix = struct.pack("<7i", UCSC, 1, 2, 3, ord("#"), 0, len(names)) + names
        out = [struct.pack("<4s3i", b"CSI\1", MIN_SHIFT, self.levels, len(tabix)), tabix,
               struct.pack("<i", len(self.indexed))]
        for chunks, linear in self.indexed.values():
            triples = sorted(zip(chunks[2::3], chunks[::3], chunks[1::3], strict=True))
            bins = [(number, list(group)) for number, group in groupby(triples, itemgetter(0))]
            out.append(struct.pack("<i", len(bins)))
            for number, group in bins:
                reached = linear[min(first_leaf(number, self.levels), len(linear) - 1)]
                out.append(struct.pack("<IQi", number, virtual(reached), len(group)))
                out += (struct.pack("<QQ", virtual(begin), virtual(end)) for _, begin, end in group)
        out.append(struct.pack("<Q", 0))
        return b"".join(out)


cdef inline long long run_end(Depth depth, long long position, int *value) noexcept nogil:
    """Where the run of equal depth that begins at ``position`` ends; sets its depth."""
    cdef const int *values = depth.span.values
    cdef long long end = position
    value[0] = 0
    if position < depth.low:
        end = depth.low
    elif position < depth.high:
        value[0] = values[position]
    while end < depth.high and values[end] == value[0]:
        end += 1
    return depth.span.length if end >= depth.high and value[0] == 0 else end


cdef inline Py_ssize_t bin_of(int value, const long long[::1] bounds) noexcept nogil:
    """The first bin that begins at this depth, or else the last that begins below; -1 outside all bins."""
    cdef Py_ssize_t k, last = bounds.shape[0] - 1
    for k in range(last):
        if bounds[k] >= value:
            return k if bounds[k] == value else k - 1
    return last - 1 if value < bounds[last] else -1


cdef inline unsigned int bin_number(long long leaf, long long last, int levels) noexcept nogil:
    """The number of the smallest bin that holds both leaf windows."""
    cdef int level = levels
    while leaf != last:
        leaf >>= 3
        last >>= 3
        level -= 1
    return <unsigned int> (((1LL << (3 * level)) - 1) // 7 + leaf)


def first_leaf(long long number, int levels):
    """The first leaf window of a bin."""
    cdef int level = 0
    while number >= ((1LL << (3 * (level + 1))) - 1) // 7:
        level += 1
    return (number - ((1LL << (3 * level)) - 1) // 7) << (3 * (levels - level))


def levels_for(long long length):
    """How many levels of bins an index of positions below ``length`` needs."""
    levels = 0
    while length > 1 << (MIN_SHIFT + 3 * levels):
        levels += 1
    return levels
