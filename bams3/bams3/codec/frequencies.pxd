# Frequency tables for rANS: rows of numbers that sum to a power of two, computed from counts and coded adaptively
# (docs/format.md, "rANS"). Everything here is inline and nogil.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bams3.codec.range_coder cimport RangeCoder, RangeEncoder, code_bit, code_number, code_tree, reset

cdef enum:
    EMPTY = 15  # takes the place of a row's scale if the context does not occur
    RATE = 4  # adaptation rate of the probabilities


cdef struct TableModel:
    # Adaptive probabilities of a table.
    uint16_t present[4]
    uint16_t scale[16]
    uint16_t zero[9]
    uint16_t size[16][16]
    uint16_t second[16]


cdef inline void open_table(TableModel *model) noexcept nogil:
    reset(<uint16_t *> model, sizeof(TableModel) // 2)


cdef inline int code_scale(RangeCoder *coder, TableModel *model, int scale) noexcept nogil:
    """Code the scale of the next row, whose frequencies sum to 2^scale; EMPTY means that there is no row."""
    return <int> code_tree(coder, model.scale, 4, RATE, <uint32_t> scale)

cdef inline int bit_length(uint32_t value) noexcept nogil:
    cdef int length = 0
    while value:
        value >>= 1
        length += 1
    return length


cdef inline int code_alphabet(RangeCoder *coder, TableModel *model, uint8_t *symbols, int known) noexcept nogil:
    """Code which bytes occur as 256 bits, each in the context of the previous two. Returns how many bytes occur."""
    cdef int symbol, context = 0, bit = 0, count = 0
    for symbol in range(256):
        if RangeCoder is RangeEncoder:
            bit = count < known and symbols[count] == symbol
        bit = code_bit(coder, &model.present[context], RATE, bit)
        if bit:
            symbols[count] = <uint8_t> symbol
            count += 1
        context = (context << 1 | bit) & 3
    return count


cdef inline bint code_row(
    RangeCoder *coder, TableModel *model, const uint8_t *symbols, int count, uint16_t *row, int scale,
    const uint16_t *above, int above_scale, bint every
) noexcept nogil:
    """Code the frequencies of a row, which sum to 2^scale. Returns False if decoded frequencies do not.

    ``above`` is the previous row, or NULL for the first one. ``every`` means that no frequency is 0.
    """
    cdef uint32_t left_over = <uint32_t> 1 << scale, frequency
    cdef int k, size, left = 0, up = 0, context
    for k in range(count):
        frequency = row[symbols[k]]
        if left_over == 0 and not every:
            frequency = 0
        elif k == count - 1:
            frequency = left_over
        else:
            up = 0
            if above != NULL:
                up = bit_length(above[symbols[k]])
                if up:
                    up = max(up + scale - above_scale, 1)
            if every or not code_bit(coder, &model.zero[3 * min(left, 2) + min(up, 2)], RATE, frequency == 0):
                context = (left + up + 1) >> 1 if above != NULL else left
                size = bit_length(frequency) - 1
                size = <int> code_tree(coder, model.size[context], 4, RATE, <uint32_t> size)
                if size:
                    context = code_bit(coder, &model.second[size], RATE, frequency >> (size - 1) & 1)
                    frequency = 2 | context
                    if size > 1:
                        frequency = frequency << (size - 1) | code_number(
                            coder, size - 1, row[symbols[k]] & ((1 << (size - 1)) - 1)
                        )
                else:
                    frequency = 1
            else:
                frequency = 0
        if frequency > left_over or (every and frequency == 0):
            return False
        left_over -= frequency
        row[symbols[k]] = <uint16_t> frequency
        left = bit_length(frequency)
    return left_over == 0


cdef inline void normalise(const uint32_t *counts, const uint8_t *symbols, int count, uint64_t total, int scale, uint16_t *row) noexcept nogil:
    """Compute frequencies that sum to 2^scale and are proportional to the counts, but at least 1 if a symbol occurs."""
    cdef int k, best
    cdef int64_t over = -(<int64_t> 1 << scale)
    cdef uint32_t frequency
    cdef double loss, least
    for k in range(count):
        frequency = 0
        if counts[symbols[k]]:
            frequency = <uint32_t> (((<uint64_t> counts[symbols[k]] << (scale + 1)) + total) // (2 * total))
            if frequency == 0:
                frequency = 1
        row[symbols[k]] = <uint16_t> frequency
        over += frequency
    # Remove an excess where this costs the fewest bits; add what is missing where it saves the most.
    while over:
        best = -1
        least = 0
        for k in range(count):
            frequency = row[symbols[k]]
            if frequency == 0 or (over > 0 and frequency == 1):
                continue
            loss = counts[symbols[k]] / (<double> frequency - 0.5) if over > 0 else -<double> counts[symbols[k]] / (frequency + 0.5)
            if best < 0 or loss < least:
                best = k
                least = loss
        if over > 0:
            row[symbols[best]] -= 1
            over -= 1
        else:
            row[symbols[best]] += 1
            over += 1
