"""rANS: entropy coding of bytes, independently (order 0) or in the context of the previous byte (order 1).

These are range asymmetric numeral systems (Duda, arXiv:1311.2540) over interleaved lanes with 16-bit renormalisation
(Giesen, arXiv:1402.3392). Frequencies have 10 to 12 bits, and are coded adaptively. docs/format.md, "rANS", specifies
the bytes.
"""

from libc.math cimport INFINITY, log2
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove

from bams3.buffer cimport Buffer
from bams3.codec.frequencies cimport (
    EMPTY, TableModel, bit_length, code_alphabet, code_row, code_scale, normalise, open_table,
)
from bams3.codec.range_coder cimport (
    RangeDecoder, RangeEncoder, close_encoder, code_number, is_used_up, open_decoder, open_encoder,
)
from bams3.codec.rans_counts cimport count_bytes, count_pairs
from bams3.codec.rans_kernels cimport (
    Shape, rans_decode_lanes, rans_encode_lanes, rans_init, rans_widest_tiles,
)
from bams3.bam.fields cimport load_u16, load_u32

from bams3.errors import FormatError

cdef enum:
    MIN_BITS = 10
    MAX_BITS = 12
    MAX_LANES = 32
    WIDEST = 2  # largest argument of `use_tiles`

cdef double WORTH = 1.003  # order 1: more bits must reduce the size by this factor, as larger tables fill the caches
cdef float cost_of[(1 << MAX_BITS) + 1]  # log2 of each frequency
cdef int tiles = 0


cdef int lanes_for(size_t length) noexcept nogil:
    return 1 if length < 1 << 10 else 4 if length < 1 << 14 else MAX_LANES


cdef double row_cost(const uint32_t *counts, const uint16_t *row, const uint8_t *symbols, int count, int scale) noexcept nogil:
    """Number of bits that the symbols of a context take."""
    cdef double cost = 0
    cdef int k
    for k in range(count):
        if counts[symbols[k]]:
            cost += counts[symbols[k]] * (scale - cost_of[row[symbols[k]]])
    return cost


cdef class Model:
    """Frequencies of the bytes in some data, and an estimate of the size that they compress to.

    Attributes
    ----------
    size
        Number of bytes that ``encode()`` will return, to within a few.
    count
        Number of distinct bytes.
    order
        0 or 1.
    """

    cdef const uint8_t[::1] data
    cdef Shape shape
    cdef uint8_t symbols[256]
    cdef uint8_t scales[256]
    cdef readonly int count
    cdef uint32_t *counts
    cdef uint16_t *rows
    cdef Buffer table
    cdef readonly double size

    def __cinit__(self):
        self.counts = NULL
        self.rows = NULL

    def __dealloc__(self):
        free(self.counts)
        free(self.rows)

    def __init__(self, const uint8_t[::1] data, int order, double limit=INFINITY):
        """``data`` must have at least one byte; ``order`` is 0 or 1. If it is clear that ``size`` would exceed
        ``limit``, ``size`` is infinite, and ``encode`` must not be called."""
        cdef size_t n = data.shape[0], i, size
        cdef uint8_t highest = 0, lowest = 255
        self.data = data
        self.shape.lanes = lanes_for(n)
        self.shape.order = order
        self.table = Buffer()
        with nogil:
            for i in range(n):
                highest = max(highest, data[i])
                lowest = min(lowest, data[i])
            self.shape.shift = 8 if order == 0 else bit_length(highest)
            self.shape.first = lowest
            size = <size_t> 1 << 2 * self.shape.shift if order else 256
            self.counts = <uint32_t *> calloc(2 * size, sizeof(uint32_t))
            self.rows = <uint16_t *> calloc(size, sizeof(uint16_t))
            if self.counts == NULL or self.rows == NULL:
                with gil:
                    raise MemoryError("not enough memory to count symbols")
            if order:
                count_pairs(&data[0], n, &self.shape, self.counts)
            else:
                count_bytes(&data[0], n, self.counts)
            self.find_symbols(highest)
            self.size = INFINITY if order and self.least() > limit else self.fitted()

    cdef double fitted(self) except -1 nogil:
        """Choose the frequencies, and code them into `table`; returns `size`."""
        cdef double coded = self.fit(MAX_BITS)
        cdef int bits
        if self.shape.order:
            bits = MIN_BITS
            while self.fit(bits) > WORTH * coded and bits < MAX_BITS:
                bits += 1
        self.put_table()
        return 2 + self.table.size + coded + 3.5 * self.shape.lanes

    cdef int find_symbols(self, int highest) noexcept nogil:
        cdef int symbol, k, seen
        cdef int rows = highest + 1 if self.shape.order else 1
        for symbol in range(highest + 1):
            seen = symbol == self.shape.first
            for k in range(rows):
                seen |= self.counts[k << self.shape.shift | symbol] != 0
            if seen:
                self.symbols[self.count] = <uint8_t> symbol
                self.count += 1
        return 0

    cdef double least(self) noexcept nogil:
        """A lower bound of the bytes for order 1: the entropy, plus one bit of the table for each pair that occurs."""
        cdef int r, k
        cdef uint32_t context, count
        cdef uint64_t total
        cdef double bits = 0
        for r in range(self.count):
            context = <uint32_t> self.symbols[r] << self.shape.shift
            total = 0
            for k in range(self.count):
                count = self.counts[context | self.symbols[k]]
                if count:
                    total += count
                    bits += 1 - count * (cost_of[count] if count <= 1 << MAX_BITS else log2(count))
            if total:
                bits += total * log2(<double> total)
        return bits / 8

    cdef double fit(self, int bits) noexcept nogil:
        """Choose frequencies for every context, with a precision that suits its count; returns the resulting size in
        bytes, without the table."""
        cdef int r, k, kinds, scale
        cdef uint32_t context
        cdef uint64_t total
        cdef double cost = 0
        self.shape.bits = bits
        for r in range(self.count if self.shape.order else 1):
            context = <uint32_t> self.symbols[r] << self.shape.shift if self.shape.order else 0
            total = 0
            kinds = 0
            for k in range(self.count):
                total += self.counts[context | self.symbols[k]]
                kinds += self.counts[context | self.symbols[k]] != 0
            if total == 0:
                self.scales[r] = EMPTY
                continue
            scale = min(bits, max(bit_length(kinds - 1), bit_length(<uint32_t> min(total, <uint64_t> 65535)) - 2, 0))
            self.scales[r] = <uint8_t> scale
            normalise(self.counts + context, self.symbols, self.count, total, scale, self.rows + context)
            cost += row_cost(self.counts + context, self.rows + context, self.symbols, self.count, scale)
        return cost / 8

    cdef int put_table(self) except -1 nogil:
        cdef TableModel model
        cdef RangeEncoder coder
        self.table.reserve(1024)
        open_encoder(&coder, self.table.data)
        open_table(&model)
        code_number(&coder, 2, self.shape.bits - MIN_BITS)
        code_alphabet(&coder, &model, self.symbols, self.count)
        self.table.size = coder.at - self.table.data
        cdef int r, previous = -1
        cdef uint32_t context, before = 0
        for r in range(self.count if self.shape.order else 1):
            self.table.reserve(64 * 256)
            coder.at = self.table.data + self.table.size
            code_scale(&coder, &model, self.scales[r])
            if self.scales[r] != EMPTY:
                context = <uint32_t> self.symbols[r] << self.shape.shift if self.shape.order else 0
                code_row(
                    &coder, &model, self.symbols, self.count, self.rows + context, self.scales[r],
                    self.rows + before if previous >= 0 else NULL, self.scales[previous] if previous >= 0 else 0,
                    not self.shape.order,
                )
                previous = r
                before = context
            self.table.size = coder.at - self.table.data
        self.table.reserve(8)
        coder.at = self.table.data + self.table.size
        close_encoder(&coder)
        self.table.size = coder.at - self.table.data
        return 0

    @property
    def order(self):
        return self.shape.order

    def encode(self):
        """The coded data: a Buffer."""
        cdef size_t n = self.data.shape[0], length, entries = (self.symbols[self.count - 1] + 1) << self.shape.shift
        cdef Buffer out = Buffer(self.table.size + 2 * n + 4 * self.shape.lanes + 64)
        cdef uint32_t states[MAX_LANES]
        cdef uint32_t *table = <uint32_t *> malloc((entries if self.shape.order else 256) * sizeof(uint32_t))
        cdef uint8_t *end
        cdef uint8_t *at
        cdef int r, k
        cdef uint32_t context, start, frequency
        if table == NULL:
            raise MemoryError("not enough memory for a frequency table")
        out.put_u16(<uint16_t> self.table.size)
        out.put(self.table.data, self.table.size)
        with nogil:
            for r in range(self.count if self.shape.order else 1):
                if self.scales[r] == EMPTY:
                    continue
                context = <uint32_t> self.symbols[r] << self.shape.shift if self.shape.order else 0
                start = 0
                for k in range(self.count):
                    frequency = <uint32_t> self.rows[context | self.symbols[k]] << (self.shape.bits - self.scales[r])
                    table[context | self.symbols[k]] = start << 16 | frequency
                    start += frequency
            end = out.data + out.capacity
            at = rans_encode_lanes(&self.data[0], n, table, &self.shape, tiles, states, end)
            out.put(states, 4 * self.shape.lanes)
            length = end - at
            memmove(out.data + out.size, at, length)
            out.size += length
        free(table)
        return out


def smallest(const uint8_t[::1] data not None, Py_ssize_t least, double pairs, double context):
    """The `Model` of some data with the order that suits it.

    Order 1 is chosen if it saves more than ``context`` bytes for each distinct byte. It is tried only if the data has
    at least ``least`` bytes, and at least 1 / ``pairs`` bytes for each possible pair of distinct bytes.
    """
    cdef Model first = Model(data, 0), second
    if first.count > 1 and data.shape[0] >= least and data.shape[0] * pairs >= first.count * first.count:
        second = Model(data, 1, first.size)
        if second.size + context * second.count < first.size:
            return second
    return first


def encode(data, int order):
    """Code ``data`` (bytes-like, not empty) with order 0 or 1; returns a Buffer."""
    return Model(data, order).encode()


cdef uint32_t *read_table(RangeDecoder *coder, Shape *shape) except? NULL nogil:
    """The decoder's table, to be freed by the caller; NULL if the stored one is invalid. Fills in the shape."""
    cdef TableModel model
    cdef uint8_t symbols[256]
    cdef uint16_t rows[2][256]
    cdef int count, r, k, scale, above_scale = 0, now = 0, above = -1
    cdef uint32_t *table
    cdef uint32_t *entry
    cdef uint32_t frequency, i, highest
    open_table(&model)
    shape.bits = MIN_BITS + <int> code_number(coder, 2, 0)
    count = code_alphabet(coder, &model, symbols, 0)
    if shape.bits > MAX_BITS or count == 0:
        return NULL
    shape.first = symbols[0]
    highest = symbols[count - 1] if shape.order else 0
    table = <uint32_t *> calloc((highest + 1) << shape.bits, sizeof(uint32_t))
    if table == NULL:
        with gil:
            raise MemoryError("not enough memory for a frequency table")
    for r in range(count if shape.order else 1):
        scale = code_scale(coder, &model, 0)
        if scale == EMPTY:
            continue
        if scale > shape.bits or not code_row(
            coder, &model, symbols, count, rows[now], scale, NULL if above < 0 else rows[above], above_scale,
            not shape.order,
        ):
            free(table)
            return NULL
        entry = table + (<size_t> symbols[r] << shape.bits if shape.order else 0)
        for k in range(count):
            frequency = <uint32_t> rows[now][symbols[k]] << (shape.bits - scale)
            for i in range(frequency):
                entry[i] = (frequency - 1) << 20 | i << 8 | symbols[k]
            entry += frequency
        above = now
        above_scale = scale
        now ^= 1
    if not is_used_up(coder):
        free(table)
        return NULL
    return table


def decode(const uint8_t[::1] stored, size_t raw_length, int order):
    """Decode ``raw_length`` bytes that `encode` coded with this order; returns a Buffer. Raises FormatError if
    ``stored`` is not the output of `encode`."""
    cdef size_t size = stored.shape[0], at
    cdef RangeDecoder coder
    cdef Shape shape
    cdef uint32_t states[MAX_LANES]
    cdef uint32_t *table
    cdef Buffer out
    cdef int whole
    shape.order = order
    shape.shift = 0
    shape.lanes = lanes_for(raw_length)
    at = 2 + load_u16(&stored[0]) if size >= 2 else 2
    if raw_length == 0 or size < at + 4 * shape.lanes:
        raise FormatError("rANS data are truncated")
    open_decoder(&coder, &stored[2], &stored[0] + at)
    with nogil:
        table = read_table(&coder, &shape)
    if table == NULL:
        raise FormatError("rANS data have a damaged frequency table")
    try:
        out = Buffer(raw_length)
        memcpy(states, &stored[at], 4 * shape.lanes)
        with nogil:
            whole = rans_decode_lanes(
                out.data, raw_length, table, &shape, tiles, states, &stored[0] + at + 4 * shape.lanes, &stored[0] + size
            )
    finally:
        free(table)
    if not whole:
        raise FormatError("rANS data do not decode to the expected length")
    out.size = raw_length
    return out


def use_tiles(int widest):
    """Choose how 32 lanes are coded: one symbol at a time (0), or in tiles, with AVX2 (1) or AVX-512 (2).

    The results are the same. The default is the highest number that the CPU supports; a higher one has no effect.
    Returns the number that is used from now on.
    """
    global tiles
    tiles = min(widest, rans_widest_tiles())
    return tiles


cdef int prepare() except -1:
    cdef int k
    rans_init()
    use_tiles(WIDEST)
    for k in range(1, (1 << MAX_BITS) + 1):
        cost_of[k] = log2(k)
    return 0


prepare()
