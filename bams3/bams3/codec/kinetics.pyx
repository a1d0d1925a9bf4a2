"""Tags with a number for each base that says how fast it was read: PacBio's ip pw fi fp ri rp, and mv (``moves``).

``tag.fi:BC.values`` has the distinct elements. ``tag.fi:BC.tables`` has the indices of all elements, coded by rANS with
a row of frequencies for each context: the class of five bases, in the order in which the polymerase or the pore met
them, and the class of the mean of the previous elements. docs/format.md, "Kinetics", specifies it.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from bams3.bam.fields cimport REVERSE, load_u16, load_u32, record_seq
from bams3.buffer cimport Buffer
from bams3.codec.bases cimport two_bits
from bams3.codec.context_tables cimport FIRST, LANES, MAX_BITS, MIN_BITS, Frequencies, Slots, cost_of, get_value
from bams3.codec.kinetic_contexts cimport (
    HALF, MOST_VALUES, PARTS, PENTAMERS, SHIFT, Contexts, after, code_classes, context_of,
)
from bams3.codec.range_coder cimport RangeDecoder, RangeEncoder, code_number, open_decoder, open_encoder

from bams3.errors import FormatError

cdef array.array INT64 = new_array("q")

cdef enum:
    PACES = 4        # classes of the mean that the encoder begins with
    KIND_COST = 512  # bits, approximately, that the classes of pentamers take for each doubling of their number
    BUCKETS = 1 << 12  # of mean ranks

AGAINST = frozenset({"ri", "rp"})
"""Tags whose arrays run opposite to the order of sequencing."""
AHEAD = {"mv": 2}
"""How many of the five bases are met after the element's base, if not 0."""


cdef class ReadBases:
    """The bases of a row group's reads, as the arrays of kinetics need them."""

    cdef const uint8_t[::1] seq
    cdef const int64_t[::1] starts
    cdef const int32_t[::1] l_seq
    cdef const uint16_t[::1] flag

    def __init__(self, seq, starts, l_seq, flag):
        """``seq`` holds the SEQs in BAM encoding; ``starts``, array('q'), is where each of them begins."""
        self.seq, self.starts, self.l_seq, self.flag = seq, starts, l_seq, flag

    @staticmethod
    def of_block(block, l_seq, flag):
        cdef const uint8_t[::1] data = block.data
        cdef const int64_t[::1] offsets = block.offsets
        cdef array.array starts = array.clone(INT64, len(l_seq), False)
        cdef Py_ssize_t i
        for i in range(len(starts)):
            starts.data.as_longlongs[i] = record_seq(&data[offsets[i]]) - &data[0]
        return ReadBases(data, starts, l_seq, flag)

    cdef void pentamers(
        self, const uint8_t *counts, const uint32_t[::1] holders, const Contexts *contexts, uint16_t *out
    ) noexcept nogil:
        """Find the five bases around each element, with the first base in the lowest bits; 0 if an array and its read
        differ in length. ``counts``: u32 length of the array of each of the records ``holders``."""
        cdef const uint8_t *packed
        cdef uint32_t count, pentamer, code, turn
        cdef int64_t j, at, step
        cdef Py_ssize_t a, i
        for a in range(holders.shape[0]):
            i = holders[a]
            count = load_u32(counts + 4 * a)
            if count != <uint32_t> self.l_seq[i]:
                memset(out, 0, count * sizeof(uint16_t))
            elif count:
                packed = &self.seq[self.starts[i]]
                turn = 3 if (self.flag[i] & REVERSE != 0) != contexts.against else 0
                at = <int64_t> count - 1 if turn else 0
                step = -1 if turn else 1
                pentamer = 0
                for j in range(-contexts.ahead, <int64_t> count):
                    code = 0
                    if 0 <= at < <int64_t> count:
                        code = (two_bits(packed[at >> 1] >> (4 & -<int> (~at & 1))) & 3) ^ turn
                    pentamer = pentamer >> 2 | code << 8
                    if j >= 0:
                        out[j] = <uint16_t> pentamer
                    at += step
            out += count


cdef uint64_t total_of(const uint8_t[::1] counts) noexcept nogil:
    cdef uint64_t total = 0
    cdef Py_ssize_t a
    for a in range(counts.shape[0] // 4):
        total += load_u32(&counts[4 * a])
    return total


cdef void find_levels(const Contexts *contexts, const uint8_t *symbols, size_t size, uint8_t *out) noexcept nogil:
    """Find the level of the mean before every value. At the start of each lane, the mean is HALF."""
    cdef size_t steps = size // LANES, k
    cdef int32_t mean
    cdef int lane
    for lane in range(LANES):
        mean = HALF
        for k in range(lane * steps, size if lane == LANES - 1 else (lane + 1) * steps):
            out[k] = <uint8_t> (mean >> SHIFT)
            mean = after(contexts, mean, symbols[k])


cdef void part(const uint64_t *counts, int count, int parts, uint8_t *out) noexcept nogil:
    """Divide ``count`` things, in their order, into classes of about equal counts."""
    cdef uint64_t total = 0, up_to = 0
    cdef int k
    for k in range(count):
        total += counts[k]
    for k in range(count):
        out[k] = <uint8_t> (parts * (up_to + counts[k] / 2) // (total + 1))
        up_to += counts[k]


cdef void part_pentamers(
    Contexts *contexts, const uint8_t *symbols, const uint16_t *pentamers, size_t size
) noexcept nogil:
    """Divide the pentamers into classes by the mean rank of their values."""
    cdef uint64_t totals[PENTAMERS]
    cdef uint64_t sums[PENTAMERS]
    cdef uint64_t buckets[BUCKETS]
    cdef uint8_t classes[BUCKETS]
    cdef size_t k
    cdef int p
    memset(totals, 0, sizeof(totals))
    memset(sums, 0, sizeof(sums))
    memset(buckets, 0, sizeof(buckets))
    for k in range(size):
        totals[pentamers[k]] += 1
        sums[pentamers[k]] += contexts.rank[symbols[k]]
    for p in range(PENTAMERS):
        if totals[p]:
            sums[p] = sums[p] * (BUCKETS // PARTS) // totals[p]
            buckets[sums[p]] += totals[p]
    part(buckets, BUCKETS, PARTS, classes)
    for p in range(PENTAMERS):
        contexts.kind[p] = classes[sums[p]] if totals[p] else contexts.kind[p - 1] if p else 0


cdef class KineticsEncoder:
    """Codes the elements of some arrays, given as indices; ``stored`` is the result, a Buffer."""

    cdef readonly Buffer stored
    cdef Contexts contexts
    cdef Frequencies frequencies

    def __init__(
        self, Buffer symbols, int values, Buffer counts, const uint32_t[::1] holders, ReadBases reads, str tag
    ):
        cdef size_t size = symbols.size, start, k
        cdef Buffer pentamers = Buffer(2 * size + 2), levels = Buffer(size + 1), held = Buffer(2 * size + 2)
        cdef Buffer stored = Buffer(size + 4096), merged = Buffer(PARTS * PACES * values * sizeof(uint32_t))
        cdef uint16_t *context = <uint16_t *> held.data
        cdef uint64_t by_index[MOST_VALUES]
        cdef uint64_t by_level[PARTS]
        cdef Contexts *contexts = &self.contexts
        cdef RangeEncoder coder
        cdef uint32_t length
        memset(contexts, 0, sizeof(Contexts))
        memset(by_index, 0, sizeof(by_index))
        memset(by_level, 0, sizeof(by_level))
        contexts.values = values
        contexts.against = tag in AGAINST
        contexts.ahead = AHEAD.get(tag, 0)
        self.frequencies = Frequencies(values, PARTS * PACES)
        with nogil:
            for k in range(size):
                by_index[symbols.data[k]] += 1
            part(by_index, values, PARTS, contexts.rank)
            reads.pentamers(counts.data, holders, contexts, <uint16_t *> pentamers.data)
            part_pentamers(contexts, symbols.data, <const uint16_t *> pentamers.data, size)
            find_levels(contexts, symbols.data, size, levels.data)
            for k in range(size):
                by_level[levels.data[k]] += 1
            part(by_level, PARTS, PACES, contexts.pace)
            self.count(symbols, pentamers, levels, context)
            self.merge(<uint32_t *> merged.data)
            memset(self.frequencies.counts, 0, <size_t> PARTS * PACES * values * sizeof(uint32_t))
            self.frequencies.contexts = self.count(symbols, pentamers, levels, context)
            self.frequencies.fit()
            stored.put_u32(0)
            start = stored.size
            stored.reserve(1 << 14)
            open_encoder(&coder, stored.data + start)
            code_classes(&coder, contexts)
            stored.size = coder.at - stored.data
            self.frequencies.put_table(&coder, stored)
            length = <uint32_t> (stored.size - start)
            memcpy(stored.data, &length, 4)
            self.frequencies.put_values(symbols.data, context, size, stored)
        self.stored = stored

    cdef int count(self, Buffer symbols, Buffer pentamers, Buffer levels, uint16_t *context) noexcept nogil:
        """Find the context of every value, and count the values in each; returns how many contexts there are."""
        cdef Contexts *contexts = &self.contexts
        cdef uint32_t *counts = self.frequencies.counts
        cdef const uint16_t *pentamer = <const uint16_t *> pentamers.data
        cdef int k, most = 0
        cdef size_t i
        contexts.paces = contexts.pace[PARTS - 1] + 1
        for k in range(PENTAMERS):
            most = max(most, contexts.kind[k])
        for i in range(symbols.size):
            context[i] = context_of(contexts, pentamer[i], levels.data[i])
            counts[context[i] * contexts.values + symbols.data[i]] += 1
        return (most + 1) * contexts.paces

    cdef void merge(self, uint32_t *merged) noexcept nogil:
        """Merge neighbouring classes as far as this saves bits, including those of the tables. ``merged``: room for a
        copy of all counts."""
        cdef Contexts *contexts = &self.contexts
        cdef int values = contexts.values, paces = contexts.paces, kinds, slower, to, k, v
        cdef int halvings = 0, slowings = 0
        cdef size_t size = PARTS * PACES * values * sizeof(uint32_t)
        cdef double cost, least = -1
        for kinds in range(5):
            for slower in range(3):
                memset(merged, 0, size)
                for k in range(PARTS * paces):
                    to = (k // paces >> kinds) * PACES + (k % paces >> slower)
                    for v in range(values):
                        merged[to * values + v] += self.frequencies.counts[k * values + v]
                cost = cost_of(merged, PARTS * PACES, values) + KIND_COST * (4 - kinds)
                if least < 0 or cost < least:
                    least = cost
                    halvings = kinds
                    slowings = slower
        for k in range(PENTAMERS):
            contexts.kind[k] >>= halvings
        for k in range(PARTS):
            contexts.pace[k] >>= slowings


cdef Buffer distinct(const uint8_t *elements, size_t count, int width, Buffer symbols):
    """The distinct elements, ascending; ``symbols`` is filled with their indices. None if there are more than 256."""
    cdef Buffer seen = Buffer(1 << (8 * width)), values = Buffer(width=width)
    cdef int k, known = 0
    cdef size_t i
    memset(seen.data, 0, 1 << (8 * width))
    with nogil:
        for i in range(count):
            seen.data[elements[i] if width == 1 else load_u16(elements + 2 * i)] = 1
        for k in range(1 << (8 * width)):
            if seen.data[k]:
                if known == MOST_VALUES:
                    break
                seen.data[k] = <uint8_t> known
                known += 1
                values.put(&k, width)
        else:
            for i in range(count):
                symbols.data[i] = seen.data[elements[i] if width == 1 else load_u16(elements + 2 * i)]
            symbols.size = count
    return values if symbols.size == count else None


def encode(
    Buffer elements not None, Buffer counts not None, const uint32_t[::1] holders, ReadBases reads not None,
    str tag not None,
):
    """Encode the arrays of a tag.

    Parameters
    ----------
    elements
        The elements of all arrays, 1 or 2 bytes each (``elements.width``).
    counts, holders
        The length of each array, u32, and the index of its record.
    reads, tag
        The bases of all records, and the name of the tag, such as "fi".

    Returns
    -------
    tuple of Buffer or None
        The streams ``values`` and ``tables``; None if there are fewer than 2 or more than 256 distinct elements.
    """
    cdef int width = elements.width
    cdef Buffer symbols = Buffer(elements.size // width + 1)
    cdef Buffer values = distinct(elements.data, elements.size // width, width, symbols)
    if values is None or values.size < <size_t> (2 * width):
        return None
    return values, KineticsEncoder(symbols, <int> (values.size // width), counts, holders, reads, tag).stored


cdef struct Lane:
    uint32_t state
    int32_t mean


cdef bint get_values(
    const Contexts *contexts, Slots slots, const uint16_t *pentamers, size_t size, const uint8_t *at,
    const uint8_t *end, uint8_t *out
) noexcept nogil:
    """Decode the values; returns False unless they use up exactly the stored words."""
    cdef Lane lanes[LANES]
    cdef size_t steps = size // LANES, step, place
    cdef int lane
    for lane in range(LANES):
        lanes[lane].state = load_u32(at + 4 * lane)
        lanes[lane].mean = HALF
    at += 4 * LANES
    for step in range(steps):
        for lane in range(LANES):
            place = lane * steps + step
            out[place] = next_value(contexts, slots, pentamers[place], &lanes[lane], &at, end)
    for place in range(LANES * steps, size):
        out[place] = next_value(contexts, slots, pentamers[place], &lanes[LANES - 1], &at, end)
    for lane in range(LANES):
        if lanes[lane].state != FIRST:
            return False
    return at == end


cdef inline uint8_t next_value(
    const Contexts *contexts, Slots slots, uint16_t pentamer, Lane *lane, const uint8_t **at, const uint8_t *end
) noexcept nogil:
    cdef uint32_t context = context_of(contexts, pentamer, <uint8_t> (lane.mean >> SHIFT))
    cdef uint8_t value = get_value(
        slots.value_of, slots.row, slots.values, slots.bits, context, &lane.state, at, end
    )
    lane.mean = after(contexts, lane.mean, value)
    return value


def decode(
    str name, const uint8_t[::1] values, const uint8_t[::1] stored, const uint8_t[::1] counts, int width,
    const uint32_t[::1] holders, ReadBases reads not None, size_t limit,
):
    """Decode the elements of all arrays of a tag, ``width`` bytes each: a Buffer of at most ``limit`` bytes.

    ``name`` is that of the tag's stream, for error messages; ``values`` and ``stored`` are the results of `encode`, and
    the other parameters the same as there. Raises FormatError if `encode` did not make the streams.
    """
    cdef size_t words = 4, size, k
    cdef int known = <int> (min(values.shape[0], <Py_ssize_t> (2 * MOST_VALUES + 2)) // width), count, bits
    cdef Contexts contexts
    cdef RangeDecoder coder
    cdef Slots slots
    cdef Buffer symbols, pentamers, elements
    cdef bint whole
    if counts.shape[0] != 4 * holders.shape[0]:
        raise FormatError(f"stream '{name}.count' does not have a number for each array of the row group")
    size = total_of(counts)
    if size > limit // <size_t> width:
        raise FormatError(f"stream '{name}.count' has more elements than fit the records of the row group")
    if values.shape[0] % width or not 2 <= known <= MOST_VALUES:
        raise FormatError(f"stream '{name}.values' does not hold 2 to 256 values")
    if stored.shape[0] >= 4:
        words += load_u32(&stored[0])
    if words + 4 * LANES > <size_t> stored.shape[0]:
        raise FormatError(f"stream '{name}.tables' is truncated")
    memset(&contexts, 0, sizeof(contexts))
    contexts.values = known
    open_decoder(&coder, &stored[0] + 4, &stored[0] + words)
    count = code_classes(&coder, &contexts)
    bits = MIN_BITS + <int> code_number(&coder, 2, 0)
    if count == 0 or bits > MAX_BITS:
        raise FormatError(f"stream '{name}.tables' has a damaged table")
    slots = Slots(known, count, bits)
    symbols, pentamers = Buffer(size + 1), Buffer(2 * size + 2)
    with nogil:
        whole = slots.read(&coder)
        if whole:
            reads.pentamers(
                &counts[0] if counts.shape[0] else NULL, holders, &contexts, <uint16_t *> pentamers.data
            )
            whole = get_values(
                &contexts, slots, <const uint16_t *> pentamers.data, size, &stored[0] + words,
                &stored[0] + stored.shape[0], symbols.data
            )
    if not whole:
        raise FormatError(f"stream '{name}.tables' is damaged, or does not match the arrays of the row group")
    elements = Buffer(width * size + 1, width=width)
    with nogil:
        for k in range(size):
            if width == 1:
                elements.data[k] = values[symbols.data[k]]
            else:
                memcpy(elements.data + 2 * k, &values[2 * symbols.data[k]], 2)
    elements.size = width * size
    return elements
