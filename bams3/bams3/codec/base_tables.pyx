"""A value of each base, such as its quality, coded by rANS with a table of frequencies for each context.

The context consists of the classes of the two previous values, and of the homopolymer and the alignment of the base.
The result is larger than that of ``base_model``, but this is several times faster. docs/format.md, "Base tables",
specifies it.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from bams3.bam.fields cimport load_u32
from bams3.buffer cimport Buffer
from bams3.codec.base_contexts cimport (
    MOST_CONTEXTS, MOST_VALUES, SIDES, Contexts, choose, number, put_sides, turn_reversed,
)
from bams3.codec.context_tables cimport FIRST, LANES, MAX_BITS, MIN_BITS, Frequencies, Slots, cost_of, get_value
from bams3.codec.range_coder cimport RangeDecoder, RangeEncoder, code_number, open_decoder, open_encoder
from bams3.codec.surroundings cimport Surroundings

from bams3.errors import FormatError


cdef void find_contexts(
    const Contexts *contexts, const uint8_t *values, const uint8_t *side, size_t size, uint16_t *out
) noexcept nogil:
    """Find the context of every value. At the start of each lane, both previous values count as 0."""
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


cdef void count_values(const uint16_t *context, const uint8_t *values, size_t size, int width, uint32_t *counts) noexcept nogil:
    cdef size_t k
    for k in range(size):
        counts[<size_t> context[k] * width + values[k]] += 1


cdef class QualityEncoder:
    """Codes the qualities of some reads; ``stored`` is the result, a Buffer."""

    cdef readonly Buffer stored
    cdef Contexts contexts
    cdef Frequencies frequencies
    cdef uint8_t *side
    cdef uint16_t *context

    def __cinit__(self):
        self.side = NULL
        self.context = NULL

    def __dealloc__(self):
        free(self.side)
        free(self.context)

    def __init__(
        self, Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag,
        Surroundings around not None,
    ):
        """The parameters are those of `encode`. ``symbols`` is overwritten."""
        cdef size_t size = symbols.size, start, k
        cdef size_t counts[256]
        cdef uint32_t length
        cdef RangeEncoder coder
        memset(counts, 0, sizeof(counts))
        self.side = <uint8_t *> malloc(size + 1)
        self.context = <uint16_t *> malloc((size + 1) * sizeof(uint16_t))
        if self.side == NULL or self.context == NULL:
            raise MemoryError("not enough memory for the contexts of qualities")
        self.frequencies = Frequencies(values, MOST_CONTEXTS)
        cdef Buffer stored = Buffer(size // 2 + 4096)
        with nogil:
            for k in range(size):
                counts[symbols.data[k]] += 1
            put_sides(around, l_seq, flag, self.side)
            turn_reversed(symbols.data, l_seq, flag)
            self.choose_contexts(symbols, values, counts)
            self.frequencies.fit()
            stored.put(self.contexts.classes, 2 * values + SIDES)
            stored.put_u32(0)
            start = stored.size
            open_encoder(&coder, stored.data + start)
            self.frequencies.put_table(&coder, stored)
            length = <uint32_t> (stored.size - start)
            memcpy(stored.data + start - 4, &length, 4)
            self.frequencies.put_values(symbols.data, self.context, size, stored)
        self.stored = stored

    cdef void choose_contexts(self, Buffer symbols, int values, const size_t *counts) noexcept nogil:
        """Choose the contexts, and count the values in them."""
        cdef double cost[2]
        cdef int option, best
        cdef uint32_t *by_context = self.frequencies.counts
        for option in range(3):
            best = option if option < 2 else cost[1] < cost[0]
            choose(&self.contexts, values, counts, best)
            find_contexts(&self.contexts, symbols.data, self.side, symbols.size, self.context)
            memset(by_context, 0, <size_t> self.contexts.count * values * sizeof(uint32_t))
            count_values(self.context, symbols.data, symbols.size, values, by_context)
            if option < 2:
                cost[option] = cost_of(by_context, self.contexts.count, values)
                if option and cost[1] < cost[0]:
                    break
        self.frequencies.contexts = self.contexts.count


def encode(Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag, Surroundings around not None):
    """Code the qualities of some reads. Parameters and result are those of `base_model.encode`, but ``symbols`` is
    overwritten."""
    return QualityEncoder(symbols, values, l_seq, flag, around).stored


cdef struct Lane:
    uint32_t state
    uint32_t context  # without the term for the side
    uint8_t last


cdef bint get_values(
    const Contexts *contexts, Slots slots, const uint8_t *side, size_t size, const uint8_t *at,
    const uint8_t *end, uint8_t *out
) noexcept nogil:
    """Decode the values; returns False unless they use up exactly the stored words."""
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
            out[place] = next_value(contexts, slots, side[place], &lanes[lane], &at, end)
    for place in range(LANES * steps, size):
        out[place] = next_value(contexts, slots, side[place], &lanes[LANES - 1], &at, end)
    for lane in range(LANES):
        if lanes[lane].state != FIRST:
            return False
    return at == end


cdef inline uint8_t next_value(
    const Contexts *contexts, Slots slots, uint8_t side, Lane *lane, const uint8_t **at, const uint8_t *end
) noexcept nogil:
    cdef uint8_t value = get_value(
        slots.value_of, slots.row, slots.values, slots.bits, lane.context + contexts.side[side], &lane.state, at, end
    )
    lane.context = contexts.before[value] + contexts.second[lane.last]
    lane.last = value
    return value


def decode(
    const uint8_t[::1] stored, const uint8_t[::1] values, const int32_t[::1] l_seq, const uint16_t[::1] flag,
    Surroundings around not None,
):
    """Decode what `encode` has coded. Parameters, result and error are those of `base_model.decode`."""
    cdef int count = <int> values.shape[0]
    cdef size_t size = 0, k, at = 2 * count + SIDES + 4, words
    cdef Contexts contexts
    cdef Slots slots
    cdef RangeDecoder coder
    cdef Buffer qual, side
    cdef Py_ssize_t i
    cdef bint whole
    cdef int bits
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
    bits = MIN_BITS + <int> code_number(&coder, 2, 0)
    if bits > MAX_BITS:
        raise FormatError("stream 'qual.tables' has a damaged table")
    slots = Slots(count, contexts.count, bits)
    with nogil:
        whole = slots.read(&coder)
        if whole:
            put_sides(around, l_seq, flag, side.data)
            whole = get_values(
                &contexts, slots, side.data, size, &stored[0] + words, &stored[0] + stored.shape[0], qual.data
            )
        for k in range(size if whole else 0):
            qual.data[k] = values[qual.data[k]]
        if whole:
            turn_reversed(qual.data, l_seq, flag)
    if not whole:
        raise FormatError("stream 'qual.tables' is damaged, or does not match the lengths of the row group's reads")
    qual.size = size
    return qual
