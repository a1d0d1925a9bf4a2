# Compiled with -O1: no run spends its time here.
"""The bins of a contig in BAI and CSI: see `index`."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort

from bams3.buffer cimport Buffer, Bytes, append
from bams3.chunk.tiles cimport COLUMNS, SHIFT

from bams3.bridge import blocks

cdef enum:
    NOWHERE = -2

cdef int64_t block_data = blocks.MOST, block_size = blocks.MOST + blocks.AROUND
cdef int64_t few = blocks.FEW, lead_block = blocks.LEAD + blocks.AROUND + blocks.FEW

cdef struct Chunk:  # records in a bin, or a landmark
    uint32_t bin
    bint is_landmark
    int64_t tile  # the tile in which the bin starts
    uint64_t begin, end  # virtual offsets

cdef struct Run:
    int64_t start, end  # of the records: positions, 0-based half-open
    int64_t begin, finish, size  # bytes of the file; bytes of records
    int64_t after  # where the next run starts, or NOWHERE
    bint apart
    const uint32_t *tiles
    int64_t listed


cdef int by_bin(const void *a, const void *b) noexcept nogil:
    cdef const Chunk *one = <const Chunk *> a
    cdef const Chunk *other = <const Chunk *> b
    if one.bin != other.bin:
        return -1 if one.bin < other.bin else 1
    if one.is_landmark != other.is_landmark:
        return 1 if one.is_landmark else -1
    return (one.begin > other.begin) - (one.begin < other.begin)


cdef inline uint64_t voffset(const Run *run, int64_t at) noexcept nogil:
    """The virtual offset of the byte `at` of a run's records."""
    cdef int64_t begin = run.begin
    if at == run.size:
        return <uint64_t> run.finish << 16
    if run.apart:
        if at < few:
            return <uint64_t> begin << 16 | <uint64_t> at
        at, begin = at - few, begin + lead_block
    return <uint64_t> (begin + at // block_data * block_size) << 16 | <uint64_t> (at % block_data)


cdef inline int64_t first_of(int level) noexcept nogil:
    """Number of the first bin of a level; level 0 is the single bin that covers everything."""
    return ((<int64_t> 1 << 3 * level) - 1) // 7


cdef class Bins:
    """The bins and the linear index of a contig. Its runs must be added in order. `depth`: levels below the root
    bin."""

    cdef int depth
    cdef bint csi
    cdef Bytes chunks, linear

    def __cinit__(self, int depth, bint csi):
        self.depth, self.csi = depth, csi

    def __dealloc__(self):
        free(self.chunks.data)
        free(self.linear.data)

    cdef int put(self, int level, int64_t tile, uint64_t begin, uint64_t end, bint is_landmark) except -1 nogil:
        """Add a chunk to the bin of a level that contains a tile."""
        cdef Chunk chunk
        cdef int shift = 3 * (self.depth - level)
        chunk.bin = <uint32_t> (first_of(level) + (tile >> shift))
        chunk.is_landmark, chunk.tile, chunk.begin, chunk.end = is_landmark, tile >> shift << shift, begin, end
        return append(&self.chunks, &chunk, sizeof(Chunk))

    cdef int landmarks(self, int64_t first, int64_t last, uint64_t at, int64_t after) except -1 nogil:
        """Add empty chunks at a virtual offset to bins, so that htslib finds one from any tile of [first, last]. It
        searches to the left among the bins with the same parent, then the parent, and so on. `after` is where the
        records after the offset start; bins past it are omitted."""
        cdef int above = 0
        while first <= last and above <= self.depth:
            if after == NOWHERE or after >= first << SHIFT:
                self.put(self.depth - above, first, at, at, True)
            first = ((first >> 3 * above | 7) + 1) << 3 * above
            above += 1
        return 0

    cdef int add(self, const Run *run) except -1 nogil:
        cdef const uint32_t *tiles = run.tiles
        cdef int64_t n = run.listed, most = <int64_t> 1 << SHIFT + 3 * self.depth
        cdef int64_t start = min(max(run.start, 0), most - 1), end = min(max(run.end, start + 1), most)
        cdef int64_t alone = self.linear.size // sizeof(uint64_t), last = (end - 1) >> SHIFT, tile, at, stop, low, high
        cdef int64_t i, started = 0, reached = 0
        cdef uint64_t offset
        cdef int level
        i = 0
        offset = voffset(run, 0)
        for tile in range(alone, last + 1):  # tiles that no earlier run reaches
            while i < n and tiles[COLUMNS * i] <= tile:
                offset = voffset(run, tiles[COLUMNS * i + 2])
                i += 1
            append(&self.linear, &offset, sizeof(uint64_t))
        for i in range(n + 1):
            low = max(alone, <int64_t> tiles[COLUMNS * (i - 1)]) if i else alone
            high = min(last, <int64_t> tiles[COLUMNS * i] - 1) if i < n else last
            at = tiles[COLUMNS * i + 1] if i < n else run.size
            self.landmarks(low, high, voffset(run, at), NOWHERE if i < n else run.after)
        at = 0
        while at < run.size:
            while started < n and tiles[COLUMNS * started + 1] <= at:
                started += 1
            while reached < n and tiles[COLUMNS * reached + 2] <= at:
                reached += 1
            stop = run.size
            if started < n:
                stop = min(stop, <int64_t> tiles[COLUMNS * started + 1])
            if reached < n:
                stop = min(stop, <int64_t> tiles[COLUMNS * reached + 2])
            # The records in [at, stop) start in the last tile that has started, or later, and end before the next tile
            # that is reached.
            low = max(start, <int64_t> tiles[COLUMNS * (started - 1)] << SHIFT) if started else start
            low = min(low, most - 1)
            high = min(end, <int64_t> tiles[COLUMNS * reached] << SHIFT) if reached < n else end
            low, high = low >> SHIFT, max(high - 1, low) >> SHIFT
            level = self.depth
            while low >> 3 * (self.depth - level) != high >> 3 * (self.depth - level):
                level -= 1
            self.put(level, low, voffset(run, at), voffset(run, stop), False)
            at = stop
        return 0

    cdef int write(self, Buffer out, uint64_t *metadata) except -1 nogil:
        cdef Chunk *chunks = <Chunk *> self.chunks.data
        cdef uint64_t *linear = <uint64_t *> self.linear.data
        cdef size_t n = self.chunks.size // sizeof(Chunk), i = 0, count, numbers = out.size
        cdef uint32_t bins = 1, bin
        cdef uint64_t begin, end
        qsort(chunks, n, sizeof(Chunk), by_bin)
        out.put_u32(0)
        while i < n:
            bins += 1
            out.put_u32(chunks[i].bin)
            if self.csi:
                out.put_u64(linear[chunks[i].tile])
            count = out.size
            out.put_u32(0)
            bin, begin, end = chunks[i].bin, chunks[i].begin, chunks[i].end
            i += 1
            while i < n and chunks[i].bin == bin:
                if not chunks[i].is_landmark:  # landmarks come last; if there are only landmarks, the first one stays
                    if chunks[i].begin != end:
                        put_pair(out, count, begin, end)
                        begin = chunks[i].begin
                    end = chunks[i].end
                i += 1
            put_pair(out, count, begin, end)
        out.put_u32(<uint32_t> (first_of(self.depth + 1) + 1))
        if self.csi:
            out.put_u64(0)
        out.put_u32(2)
        out.put(metadata, 4 * sizeof(uint64_t))
        (<uint32_t *> (out.data + numbers))[0] = bins
        if not self.csi:
            out.put_u32(<uint32_t> (self.linear.size // sizeof(uint64_t)))
            out.put(self.linear.data, self.linear.size)
        return 0


cdef inline int put_pair(Buffer out, size_t count, uint64_t begin, uint64_t end) except -1 nogil:
    """Write a chunk of a bin, and increment the number of chunks at offset `count`."""
    out.put_u64(begin)
    out.put_u64(end)
    (<uint32_t *> (out.data + count))[0] += 1
    return 0


def reference(int depth, bint csi, runs, uint64_t mapped, uint64_t unmapped):
    """The part of an index file for a contig. `runs`: at least one `IndexedRecords`; `mapped`, `unmapped`: counts of
    records."""
    cdef Bins bins = Bins(depth, csi)
    cdef Buffer out = Buffer()
    cdef Run run
    cdef const uint32_t[::1] tiles
    cdef Py_ssize_t i, n = len(runs)
    cdef uint64_t metadata[4]
    for i in range(n):
        run.start, run.end, run.begin, run.finish, run.size, listed, run.apart = runs[i]
        run.after = runs[i + 1].start if i + 1 < n else NOWHERE
        run.listed, run.tiles = len(listed) // COLUMNS, NULL
        if run.listed:
            tiles = listed
            run.tiles = &tiles[0]
        bins.add(&run)
    metadata[0], metadata[1] = <uint64_t> runs[0].begin << 16, <uint64_t> runs[n - 1].finish << 16
    metadata[2], metadata[3] = mapped, unmapped
    with nogil:
        bins.write(out, metadata)
    return out
