"""Tables of frequencies by context: computes and codes them, and encodes values with them. (``context_tables.pxd``
decodes the values.)
"""

cimport cython
from libc.math cimport log2
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memmove, memset

from bams3.buffer cimport Buffer
from bams3.codec.frequencies cimport EMPTY, TableModel, bit_length, code_row, code_scale, normalise, open_table
from bams3.codec.range_coder cimport RangeDecoder, RangeEncoder, close_encoder, code_number, is_used_up

cdef enum:
    MOST_SLOTS = 1 << 20  # of all contexts together; with more, frequencies get fewer bits


cdef double cost_of(const uint32_t *counts, int contexts, int values) noexcept nogil:
    """Estimated bits that the counted values take, including their tables of frequencies."""
    cdef double cost = 0
    cdef uint64_t total
    cdef int c, k
    for c in range(contexts):
        total = 0
        for k in range(values):
            total += counts[k]
            if counts[k]:
                cost += ROW_COST - counts[k] * log2(counts[k])
        if total:
            cost += total * log2(total)
        counts += values
    return cost


@cython.final
cdef class Frequencies:
    """The tables of an encoder. The number of ``contexts`` may be reduced until `fit` is called."""

    def __cinit__(self, int values, int contexts):
        cdef size_t places = <size_t> contexts * values
        cdef int k
        self.values = values
        self.contexts = contexts
        for k in range(256):
            self.identity[k] = <uint8_t> k
        self.counts = <uint32_t *> calloc(places, sizeof(uint32_t))
        self.frequencies = <uint16_t *> malloc(places * sizeof(uint16_t))
        self.scales = <uint8_t *> malloc(contexts)
        if self.counts == NULL or self.frequencies == NULL or self.scales == NULL:
            raise MemoryError("not enough memory for the contexts of values")

    def __dealloc__(self):
        free(self.counts)
        free(self.frequencies)
        free(self.scales)

    cdef void fit(self) noexcept nogil:
        """Compute the frequencies from the counts."""
        cdef int c, k, kinds, scale, values = self.values
        cdef uint64_t total
        self.bits = MAX_BITS
        while self.bits > MIN_BITS and self.contexts << self.bits > MOST_SLOTS:
            self.bits -= 1
        for c in range(self.contexts):
            total = 0
            kinds = 0
            for k in range(values):
                total += self.counts[c * values + k]
                kinds += self.counts[c * values + k] != 0
            if total == 0:
                self.scales[c] = EMPTY
                continue
            scale = max(bit_length(kinds - 1), bit_length(<uint32_t> min(total, <uint64_t> 65535)) - 2, 0)
            self.scales[c] = <uint8_t> min(self.bits, scale)
            normalise(
                self.counts + c * values, self.identity, values, total, self.scales[c], self.frequencies + c * values
            )

    cdef int put_table(self, RangeEncoder *coder, Buffer out) except -1 nogil:
        """Code the tables to the end of ``out``, and close the coder."""
        cdef TableModel model
        cdef int values = self.values, c, k, previous = -1
        open_table(&model)
        out.reserve(64)
        coder.at = out.data + out.size
        code_number(coder, 2, self.bits - MIN_BITS)
        out.size = coder.at - out.data
        for c in range(self.contexts):
            out.reserve(64 * values + 64)
            coder.at = out.data + out.size
            code_scale(coder, &model, self.scales[c])
            if self.scales[c] != EMPTY:
                code_row(
                    coder, &model, self.identity, values, self.frequencies + c * values, self.scales[c],
                    self.frequencies + previous * values if previous >= 0 else NULL,
                    self.scales[previous] if previous >= 0 else 0, False,
                )
                previous = c
            out.size = coder.at - out.data
        out.reserve(64)
        coder.at = out.data + out.size
        close_encoder(coder)
        out.size = coder.at - out.data
        for c in range(self.contexts):
            for k in range(values if self.scales[c] != EMPTY else 0):
                self.frequencies[c * values + k] <<= self.bits - self.scales[c]
        return 0

    cdef int put_values(self, const uint8_t *symbols, const uint16_t *context, size_t size, Buffer out) except -1 nogil:
        """Code the values, each in its context, from the last one to the first; the counts are overwritten."""
        cdef int values = self.values, lane, k
        cdef size_t steps = size // LANES, i, at
        cdef uint32_t states[LANES]
        cdef uint32_t sum
        cdef uint8_t *end
        cdef uint8_t *p
        for i in range(<size_t> self.contexts):
            sum = 0
            for k in range(values):
                self.counts[i * values + k] = sum  # counts are no longer needed: now these are first slots
                sum += self.frequencies[i * values + k] if self.scales[i] != EMPTY else 0
        out.reserve(2 * size + 4 * LANES + 64)
        end = out.data + out.capacity
        p = end
        for lane in range(LANES):
            states[lane] = FIRST
        i = size
        while i > LANES * steps:
            i -= 1
            p = self.put_value(p, &states[LANES - 1], symbols[i], context[i])
        for at in range(steps, 0, -1):
            for lane in range(LANES - 1, -1, -1):
                i = lane * steps + at - 1
                p = self.put_value(p, &states[lane], symbols[i], context[i])
        out.put(states, sizeof(states))
        memmove(out.data + out.size, p, end - p)
        out.size += end - p
        return 0

    cdef uint8_t *put_value(self, uint8_t *out, uint32_t *state, uint8_t value, uint16_t context) noexcept nogil:
        cdef size_t place = <size_t> context * self.values + value
        cdef uint32_t frequency = self.frequencies[place], x = state[0]
        if x >= frequency << (31 - self.bits):
            out -= 2
            out[0] = <uint8_t> x
            out[1] = <uint8_t> (x >> 8)
            x >>= 16
        state[0] = (x // frequency << self.bits) + x % frequency + self.counts[place]
        return out


@cython.final
cdef class Slots:
    """The tables of a decoder, for frequencies that sum to 2^bits."""

    def __cinit__(self, int values, int contexts, int bits):
        self.values = values
        self.contexts = contexts
        self.bits = bits
        self.value_of = <uint8_t *> calloc(<size_t> contexts << bits, 1)
        self.row = <uint32_t *> calloc(<size_t> contexts * values, sizeof(uint32_t))
        if self.value_of == NULL or self.row == NULL:
            raise MemoryError("not enough memory for the contexts of values")

    def __dealloc__(self):
        free(self.value_of)
        free(self.row)

    cdef bint read(self, RangeDecoder *coder) noexcept nogil:
        """Fill in the tables; returns False if the stored ones are invalid."""
        cdef TableModel model
        cdef uint8_t identity[256]
        cdef uint16_t rows[2][256]
        cdef int values = self.values, c, k, scale, above_scale = 0, now = 0, above = -1
        cdef uint32_t frequency, start
        for k in range(256):
            identity[k] = <uint8_t> k
        open_table(&model)
        for c in range(self.contexts):
            scale = code_scale(coder, &model, 0)
            if scale == EMPTY:
                continue
            if scale > self.bits or not code_row(
                coder, &model, identity, values, rows[now], scale, NULL if above < 0 else rows[above], above_scale,
                False,
            ):
                return False
            start = 0
            for k in range(values):
                frequency = <uint32_t> rows[now][k] << (self.bits - scale)
                self.row[c * values + k] = start << 16 | frequency
                memset(self.value_of + ((<size_t> c << self.bits) + start), k, frequency)
                start += frequency
            above = now
            above_scale = scale
            now ^= 1
        return is_used_up(coder)
