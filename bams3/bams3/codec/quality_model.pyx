"""Qualities coded by a context model: smaller than rANS, and many times slower.

Each quality, in sequencing order, is a path through a binary search tree. Three adaptive predictions of each bit are
mixed (``mixing``). Their contexts are: the two previous qualities; the cycle, and which read of the pair it is; the
previous qualities, and how much the qualities have changed so far. docs/format.md, "Quality model", specifies it.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from bams3.buffer cimport Buffer
from bams3.bam.fields cimport READ2, REVERSE
from bams3.codec.mixing cimport (
    MAX_VALUES, MOST_BITS, Tables, Tree, code_index, new_predictions, new_weights, plant, replant, the_tables,
)
from bams3.codec.range_coder cimport (
    RangeCoder, RangeDecoder, RangeEncoder, close_encoder, is_used_up, open_decoder, open_encoder,
)

from bams3.errors import FormatError

cdef enum:
    MOST_VALUES = 64
    INPUTS = 3
    CYCLES = 256
    CHANGES = 8
    EQUAL_WEIGHT = 26214  # 0.4, in 1/65536
    RATE = 16


cdef struct Model:
    Tree tree
    uint32_t *predictions[INPUTS]
    int32_t *weights  # by previous quality, node and input


cdef int open_model(Model *model) except -1 nogil:
    """Initialize the predictions. The tree must have been built."""
    cdef size_t values = model.tree.values
    cdef size_t *sizes = [values * values, CYCLES * 2, values * values * CHANGES]
    model.predictions[0] = NULL
    model.weights = NULL
    model.predictions[0] = new_predictions((sizes[0] + sizes[1] + sizes[2]) * values)
    model.predictions[1] = model.predictions[0] + sizes[0] * values
    model.predictions[2] = model.predictions[1] + sizes[1] * values
    model.weights = new_weights(values * values * INPUTS, EQUAL_WEIGHT)
    return 0


cdef void close_model(Model *model) noexcept nogil:
    free(model.predictions[0])
    free(model.weights)


cdef inline void code_read(RangeCoder *coder, Model *model, uint8_t *quality, int64_t length, uint16_t flag) noexcept nogil:
    """Code the indices of a read's qualities, or decode them in place."""
    cdef const Tables *tables = the_tables()
    cdef int before = 0, second = 0, third = 0, changes = 0, symbol = 0, change
    cdef int values = model.tree.values
    cdef int64_t i, step = 1
    cdef uint32_t *at[INPUTS]
    cdef int32_t *weights
    if flag & REVERSE:
        quality += length - 1
        step = -1
    for i in range(length):
        at[0] = model.predictions[0] + values * (before * values + second)
        at[1] = model.predictions[1] + values * (min(i, <int64_t> (CYCLES - 1)) * 2 + (flag & READ2 != 0))
        at[2] = model.predictions[2] + values * (
            (before * values + max(second, third)) * CHANGES + min(changes >> 3, CHANGES - 1)
        )
        weights = model.weights + INPUTS * values * before
        if RangeCoder is RangeEncoder:
            symbol = quality[0]
        symbol = code_index(coder, tables, &model.tree, at, INPUTS, weights, RATE, symbol)
        quality[0] = <uint8_t> symbol
        quality += step
        if RangeCoder is RangeDecoder:
            if coder.missing > 3:
                break
        if i:
            change = before - symbol if before > symbol else symbol - before
            changes += min(change, 3)
        third = second
        second = before
        before = symbol


def encode(Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag):
    """Code the qualities of some reads. Parameters and result are those of `base_model.encode`, but without the
    surroundings, and with at most 64 distinct qualities."""
    cdef Buffer out = Buffer(symbols.size // 2 + 64)
    cdef RangeEncoder coder
    cdef Model model
    cdef Py_ssize_t i
    cdef size_t counts[MAX_VALUES]
    cdef size_t k
    cdef uint8_t *at = symbols.data
    memset(counts, 0, sizeof(counts))
    for k in range(symbols.size):
        counts[symbols.data[k]] += 1
    plant(&model.tree, values, counts, out)
    with nogil:
        try:
            open_model(&model)
            out.reserve(8)
            open_encoder(&coder, out.data + out.size)
            for i in range(l_seq.shape[0]):
                out.reserve(MOST_BITS * <size_t> model.tree.depth * l_seq[i] // 8 + 16)
                coder.at = out.data + out.size
                code_read(&coder, &model, at, l_seq[i], flag[i])
                out.size = coder.at - out.data
                at += l_seq[i]
            close_encoder(&coder)
            out.size = coder.at - out.data
        finally:
            close_model(&model)
    return out


def decode(const uint8_t[::1] stored, const uint8_t[::1] values, const int32_t[::1] l_seq, const uint16_t[::1] flag):
    """Decode what `encode` has coded. Parameters, result and error are those of `base_model.decode`, but without the
    surroundings."""
    cdef int count = <int> values.shape[0]
    cdef Buffer qual
    cdef RangeDecoder coder
    cdef Model model
    cdef Py_ssize_t i
    cdef size_t size = 0, k
    cdef uint8_t *at
    if not 1 < count <= MOST_VALUES or stored.shape[0] < count:
        raise FormatError("stream 'qual.model' is too short for the values in 'qual.values', or there are too many")
    if replant(&model.tree, count, &stored[0]) < 0:
        raise FormatError("stream 'qual.model' does not start with a tree of the values in 'qual.values'")
    for i in range(l_seq.shape[0]):
        size += l_seq[i]
    qual = Buffer(size)
    with nogil:
        try:
            open_model(&model)
            open_decoder(&coder, &stored[count - 1], &stored[0] + stored.shape[0])
            at = qual.data
            for i in range(l_seq.shape[0]):
                if coder.missing > 3:
                    break
                code_read(&coder, &model, at, l_seq[i], flag[i])
                at += l_seq[i]
        finally:
            close_model(&model)
    if not is_used_up(&coder):
        raise FormatError("stream 'qual.model' does not match the lengths of the row group's reads")
    qual.size = size
    for k in range(size):
        qual.data[k] = values[qual.data[k]]
    return qual
