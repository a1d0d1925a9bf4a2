"""Values of bases, such as qualities, coded by rANS with a table of frequencies for each context.

The context is the classes of the two values before, and the homopolymer and the alignment that the base is in. It is
larger than ``base_model`` and several times faster. docs/format.md, "Base tables", specifies it.
"""

from libc.math cimport log2
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset

from bams3.bam.fields cimport load_u16, load_u32
from bams3.buffer cimport Buffer
from bams3.codec.base_contexts cimport (
    MOST_CONTEXTS, MOST_VALUES, SIDES, Contexts, choose, number, put_sides, turn_reversed,
)
from bams3.codec.frequencies cimport EMPTY, TableModel, bit_length, code_row, code_scale, normalise, open_table
from bams3.codec.range_coder cimport (
    RangeDecoder, RangeEncoder, close_encoder, code_number, is_used_up, open_decoder, open_encoder,
)
from bams3.codec.surroundings cimport Surroundings

from bams3.errors import FormatError

cdef enum:
    MIN_BITS = 10
    MAX_BITS = 12
    MOST_SLOTS = 1 << 20  # of all contexts: the bits of a frequency become fewer where there are more
    LANES = 8
    FIRST = 1 << 15     # the lowest state, and the first one
    ROW_COST = 6        # bits that a frequency takes, about

cdef void find_contexts(
    const Contexts *contexts, const uint8_t *values, const uint8_t *side, size_t size, uint16_t *out
) noexcept nogil:
    """The context of every value. Each lane begins with values of 0 before."""
    cdef size_t steps = size // LANES, start, end, k
    cdef uint8_t before, second
    cdef int lane
    for lane in range(LANES):
        start = lane * steps
        end = size if lane == LANES - 1 else start + steps
        before = second = 0
        for k in range(start, end):
            out[k] = contexts.before[before] + contexts.second[second] + contexts.side[side[k]]
            second = before
            before = values[k]


cdef double cost_of(const Contexts *contexts, const uint32_t *counts) noexcept nogil:
    """Bits that the values take, about, with those that the frequencies take."""
    cdef double cost = 0
    cdef uint64_t total
    cdef const uint32_t *row = counts
    cdef int c, k
    for c in range(contexts.count):
        total = 0
        for k in range(contexts.values):
            total += row[k]
            if row[k]:
                cost += ROW_COST - row[k] * log2(row[k])
        if total:
            cost += total * log2(total)
        row += contexts.values
    return cost


cdef void count_values(const uint16_t *context, const uint8_t *values, size_t size, int width, uint32_t *counts) noexcept nogil:
    cdef size_t k
    for k in range(size):
        counts[<size_t> context[k] * width + values[k]] += 1


cdef class Encoder:
    """Codes the qualities of some reads. ``stored``: a Buffer."""

    cdef readonly Buffer stored
    cdef Contexts contexts
    cdef uint8_t *side
    cdef uint16_t *context
    cdef uint32_t *counts
    cdef uint16_t *frequencies  # of each context and value; multiplied, so that they sum to 2^bits
    cdef uint8_t *scales
    cdef uint8_t identity[MOST_VALUES]

    def __cinit__(self):
        self.side = self.scales = NULL
        self.context = self.frequencies = NULL
        self.counts = NULL

    def __dealloc__(self):
        free(self.side)
        free(self.context)
        free(self.counts)
        free(self.frequencies)
        free(self.scales)

    def __init__(
        self, Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag,
        Surroundings around not None,
    ):
        """``symbols``: the qualities as indices below ``values`` (2 to 128), which are changed."""
        cdef size_t size = symbols.size, k
        cdef size_t counts[256]
        cdef int value
        memset(counts, 0, sizeof(counts))
        for value in range(values):
            self.identity[value] = <uint8_t> value
        self.side = <uint8_t *> malloc(size + 1)
        self.context = <uint16_t *> malloc((size + 1) * sizeof(uint16_t))
        self.counts = <uint32_t *> malloc(MOST_CONTEXTS * values * sizeof(uint32_t))
        self.frequencies = <uint16_t *> malloc(MOST_CONTEXTS * values * sizeof(uint16_t))
        self.scales = <uint8_t *> malloc(MOST_CONTEXTS)
        if (
            self.side == NULL or self.context == NULL or self.counts == NULL or self.frequencies == NULL
            or self.scales == NULL
        ):
            raise MemoryError("not enough memory for the contexts of qualities")
        cdef Buffer stored = Buffer(size // 2 + 4096)
        with nogil:
            for k in range(size):
                counts[symbols.data[k]] += 1
            put_sides(around, l_seq, flag, self.side)
            turn_reversed(symbols.data, l_seq, flag)
            self.fit(symbols, values, counts)
            self.put_table(stored)
            self.put_values(symbols, stored)
        self.stored = stored

    cdef void fit(self, Buffer symbols, int values, const size_t *counts) noexcept nogil:
        """Choose the contexts and their frequencies."""
        cdef double cost[2]
        cdef int option, best, c, k, kinds, scale
        cdef uint64_t total
        for option in range(3):
            best = option if option < 2 else cost[1] < cost[0]
            choose(&self.contexts, values, counts, best)
            find_contexts(&self.contexts, symbols.data, self.side, symbols.size, self.context)
            memset(self.counts, 0, <size_t> self.contexts.count * values * sizeof(uint32_t))
            count_values(self.context, symbols.data, symbols.size, values, self.counts)
            if option < 2:
                cost[option] = cost_of(&self.contexts, self.counts)
                if option and cost[1] < cost[0]:
                    break
        self.contexts.bits = MAX_BITS
        while self.contexts.bits > MIN_BITS and self.contexts.count << self.contexts.bits > MOST_SLOTS:
            self.contexts.bits -= 1
        for c in range(self.contexts.count):
            total = 0
            kinds = 0
            for k in range(values):
                total += self.counts[c * values + k]
                kinds += self.counts[c * values + k] != 0
            if total == 0:
                self.scales[c] = EMPTY
                continue
            scale = max(bit_length(kinds - 1), bit_length(<uint32_t> min(total, <uint64_t> 65535)) - 2, 0)
            self.scales[c] = <uint8_t> min(self.contexts.bits, scale)
            normalise(
                self.counts + c * values, self.identity, values, total, self.scales[c], self.frequencies + c * values
            )

    cdef int put_table(self, Buffer out) except -1 nogil:
        cdef TableModel model
        cdef RangeEncoder coder
        cdef int values = self.contexts.values, c, k, previous = -1
        cdef size_t start
        cdef uint32_t length
        out.put(self.contexts.classes, 2 * values + SIDES)
        out.put_u32(0)
        start = out.size
        out.reserve(64)
        open_encoder(&coder, out.data + start)
        open_table(&model)
        code_number(&coder, 2, self.contexts.bits - MIN_BITS)
        out.size = coder.at - out.data
        for c in range(self.contexts.count):
            out.reserve(64 * values + 64)
            coder.at = out.data + out.size
            code_scale(&coder, &model, self.scales[c])
            if self.scales[c] != EMPTY:
                code_row(
                    &coder, &model, self.identity, values, self.frequencies + c * values, self.scales[c],
                    self.frequencies + previous * values if previous >= 0 else NULL,
                    self.scales[previous] if previous >= 0 else 0, False,
                )
                previous = c
            out.size = coder.at - out.data
        out.reserve(64)
        coder.at = out.data + out.size
        close_encoder(&coder)
        out.size = coder.at - out.data
        length = <uint32_t> (out.size - start)
        memcpy(out.data + start - 4, &length, 4)
        for c in range(self.contexts.count):
            for k in range(values if self.scales[c] != EMPTY else 0):
                self.frequencies[c * values + k] <<= self.contexts.bits - self.scales[c]
        return 0

    cdef int put_values(self, Buffer symbols, Buffer stored) except -1 nogil:
        """Code the values from the last one to the first."""
        cdef int values = self.contexts.values, bits = self.contexts.bits, lane, k
        cdef size_t size = symbols.size, steps = size // LANES, i, at, places = <size_t> self.contexts.count * values
        cdef uint32_t states[LANES]
        cdef uint32_t *starts = self.counts  # which have served
        cdef uint32_t sum
        cdef uint8_t *end
        cdef uint8_t *out
        for i in range(self.contexts.count):
            sum = 0
            for k in range(values):
                starts[i * values + k] = sum
                sum += self.frequencies[i * values + k] if self.scales[i] != EMPTY else 0
        stored.reserve(2 * size + 4 * LANES + 64)
        end = stored.data + stored.capacity
        out = end
        for lane in range(LANES):
            states[lane] = FIRST
        i = size
        while i > LANES * steps:
            i -= 1
            out = self.put_value(out, &states[LANES - 1], i, symbols.data[i], values, bits)
        for at in range(steps, 0, -1):
            for lane in range(LANES - 1, -1, -1):
                i = lane * steps + at - 1
                out = self.put_value(out, &states[lane], i, symbols.data[i], values, bits)
        stored.put(states, sizeof(states))
        memmove(stored.data + stored.size, out, end - out)
        stored.size += end - out
        return 0

    cdef inline uint8_t *put_value(
        self, uint8_t *out, uint32_t *state, size_t i, uint8_t value, int values, int bits
    ) noexcept nogil:
        cdef size_t place = <size_t> self.context[i] * values + value
        cdef uint32_t frequency = self.frequencies[place], x = state[0]
        if x >= frequency << (31 - bits):
            out -= 2
            out[0] = <uint8_t> x
            out[1] = <uint8_t> (x >> 8)
            x >>= 16
        state[0] = (x // frequency << bits) + x % frequency + self.counts[place]
        return out


def encode(Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag, Surroundings around not None):
    """Code the qualities of reads of these lengths, given as indices below ``values`` (2 to 128), which are changed: a
    Buffer."""
    return Encoder(symbols, values, l_seq, flag, around).stored


cdef struct Tables:
    uint8_t *value_of    # by context and slot
    uint32_t *row        # by context and value: first slot << 16 | frequency


cdef bint read_tables(RangeDecoder *coder, Contexts *contexts, Tables *tables) noexcept nogil:
    """Fill in the tables; returns False if the stored ones are invalid."""
    cdef TableModel model
    cdef uint8_t identity[MOST_VALUES]
    cdef uint16_t rows[2][MOST_VALUES]
    cdef int values = contexts.values, c, k, scale, above_scale = 0, now = 0, above = -1
    cdef uint32_t frequency, start
    for k in range(values):
        identity[k] = <uint8_t> k
    open_table(&model)
    for c in range(contexts.count):
        scale = code_scale(coder, &model, 0)
        if scale == EMPTY:
            continue
        if scale > contexts.bits or not code_row(
            coder, &model, identity, values, rows[now], scale, NULL if above < 0 else rows[above], above_scale, False
        ):
            return False
        start = 0
        for k in range(values):
            frequency = <uint32_t> rows[now][k] << (contexts.bits - scale)
            tables.row[c * MOST_VALUES + k] = start << 16 | frequency
            memset(tables.value_of + ((<size_t> c << contexts.bits) + start), k, frequency)
            start += frequency
        above = now
        above_scale = scale
        now ^= 1
    return is_used_up(coder)


cdef struct Lane:
    uint32_t state
    uint32_t context  # without the side
    uint8_t last


cdef bint get_values(
    const Contexts *contexts, const Tables *tables, const uint8_t *side, size_t size, const uint8_t *at,
    const uint8_t *end, uint8_t *out
) noexcept nogil:
    """Decode the values; returns False if the words do not end with them."""
    cdef Lane lanes[LANES]
    cdef size_t steps = size // LANES, step, place
    cdef int lane
    for lane in range(LANES):
        lanes[lane].state = load_u32(at + 4 * lane)
        lanes[lane].context = contexts.before[0] + contexts.second[0]
        lanes[lane].last = 0
    at += 4 * LANES
    for step in range(steps):
        for lane in range(LANES):
            place = lane * steps + step
            out[place] = get_value(contexts, tables[0], contexts.bits, side[place], &lanes[lane], &at, end)
    for place in range(LANES * steps, size):
        out[place] = get_value(contexts, tables[0], contexts.bits, side[place], &lanes[LANES - 1], &at, end)
    for lane in range(LANES):
        if lanes[lane].state != FIRST:
            return False
    return at == end


cdef inline uint8_t get_value(
    const Contexts *contexts, Tables tables, int bits, uint8_t side, Lane *lane, const uint8_t **at, const uint8_t *end
) noexcept nogil:
    cdef uint32_t context = lane.context + contexts.side[side]
    cdef uint32_t x = lane.state, slot = x & ((<uint32_t> 1 << bits) - 1), row
    cdef uint8_t value = tables.value_of[(context << bits) + slot]
    row = tables.row[context * MOST_VALUES + value]
    x = (row & 0xFFFF) * (x >> bits) + slot - (row >> 16)
    if x < FIRST and end - at[0] >= 2:
        x = x << 16 | load_u16(at[0])
        at[0] += 2
    lane.state = x
    lane.context = contexts.before[value] + contexts.second[lane.last]
    lane.last = value
    return value


def decode(
    const uint8_t[::1] stored, const uint8_t[::1] values, const int32_t[::1] l_seq, const uint16_t[::1] flag,
    Surroundings around not None,
):
    """Decode the qualities of reads of these lengths, concatenated: a Buffer. ``values``: the values of the indices.
    Raises FormatError if ``stored`` is not the output of an encoder."""
    cdef int count = <int> values.shape[0]
    cdef size_t size = 0, k, at = 2 * count + SIDES + 4, words
    cdef Contexts contexts
    cdef Tables tables
    cdef RangeDecoder coder
    cdef Buffer qual, side
    cdef Py_ssize_t i
    cdef bint whole
    if not 1 < count <= MOST_VALUES or <size_t> stored.shape[0] < at:
        raise FormatError("stream 'qual.tables' is too short for the values in 'qual.values', or there are too many")
    contexts.values = count
    memcpy(contexts.classes, &stored[0], 2 * count + SIDES)
    words = at + load_u32(&stored[at - 4])
    if not number(&contexts) or words + 4 * LANES > <size_t> stored.shape[0]:
        raise FormatError("stream 'qual.tables' has too many contexts, or is truncated")
    for i in range(l_seq.shape[0]):
        size += l_seq[i]
    qual = Buffer(size + 1)
    side = Buffer(size + 1)
    open_decoder(&coder, &stored[0] + at, &stored[0] + words)
    contexts.bits = MIN_BITS + <int> code_number(&coder, 2, 0)
    if contexts.bits > MAX_BITS:
        raise FormatError("stream 'qual.tables' has a damaged table")
    tables.value_of = <uint8_t *> calloc(<size_t> contexts.count << contexts.bits, 1)
    tables.row = <uint32_t *> calloc(<size_t> contexts.count * MOST_VALUES, sizeof(uint32_t))
    try:
        if tables.value_of == NULL or tables.row == NULL:
            raise MemoryError("not enough memory for the tables of qualities")
        with nogil:
            whole = read_tables(&coder, &contexts, &tables)
            if whole:
                put_sides(around, l_seq, flag, side.data)
                whole = get_values(
                    &contexts, &tables, side.data, size, &stored[0] + words, &stored[0] + stored.shape[0], qual.data
                )
            for k in range(size if whole else 0):
                qual.data[k] = values[qual.data[k]]
            if whole:
                turn_reversed(qual.data, l_seq, flag)
    finally:
        free(tables.value_of)
        free(tables.row)
    if not whole:
        raise FormatError("stream 'qual.tables' is damaged, or does not match the lengths of the row group's reads")
    qual.size = size
    return qual
