"""Bytes of a stream, each coded by a model of the previous bytes: smaller than rANS and zstd, and many times slower.

Each byte is a path through a binary search tree of the distinct bytes. Several predictions of each bit are mixed
(``mixing``); their contexts are up to six previous bytes, and the high halves of the last three. docs/format.md, "Byte
model", specifies it.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from bams3.buffer cimport Buffer
from bams3.codec.mixing cimport (
    MAX_VALUES, MOST_BITS, Tables, Tree, code_index, new_predictions, new_weights, plant, replant, the_tables,
)
from bams3.codec.range_coder cimport (
    RangeCoder, RangeDecoder, RangeEncoder, close_encoder, is_used_up, open_decoder, open_encoder,
)

from bams3.errors import FormatError

cdef enum:
    INPUTS = 6
    MOST_SLOTS = 1 << 20  # entries of a prediction: its contexts times the number of distinct bytes
    EQUAL_WEIGHT = 19661  # 0.3, in 1/65536
    RATE = 15
    AT_ONCE = 1 << 12     # bytes that are coded before the encoder reserves more room


cdef struct Model:
    Tree tree
    int bits               # of a context
    uint32_t *predictions[INPUTS]
    int32_t *weights       # by previous byte, node and input
    uint64_t history       # the previous bytes, the last one in the lowest bits
    uint8_t index_of[256]
    uint8_t value_of[MAX_VALUES]


cdef int open_model(Model *model, size_t size) except -1 nogil:
    """Initialize the predictions for a stream of this size. The tree must have been built."""
    cdef size_t values = model.tree.values
    cdef int i
    model.predictions[0] = NULL
    model.weights = NULL
    model.history = 0
    model.bits = 8
    while model.bits < 20 and (values << model.bits) < MOST_SLOTS and (<size_t> 1 << model.bits) < size:
        model.bits += 1
    model.predictions[0] = new_predictions((<size_t> INPUTS << model.bits) * values)
    for i in range(1, INPUTS):
        model.predictions[i] = model.predictions[0] + (<size_t> i << model.bits) * values
    model.weights = new_weights(256 * values * INPUTS, EQUAL_WEIGHT)
    return 0


cdef void close_model(Model *model) noexcept nogil:
    free(model.predictions[0])
    free(model.weights)


cdef inline size_t hashed(uint64_t context, int bits) noexcept nogil:
    return (context * <uint64_t> 0x9E3779B97F4A7C15) >> (64 - bits)


cdef inline void code_bytes(RangeCoder *coder, Model *model, uint8_t *value, size_t count) noexcept nogil:
    """Code bytes, or decode them."""
    cdef const Tables *tables = the_tables()
    cdef size_t values = model.tree.values, k
    cdef uint64_t history = model.history
    cdef int bits = model.bits, symbol = 0
    cdef uint32_t *at[INPUTS]
    cdef int32_t *weights
    for k in range(count):
        at[0] = model.predictions[0] + values * (history & 0xFF)
        at[1] = model.predictions[1] + values * hashed(history & 0xFFFF, bits)
        at[2] = model.predictions[2] + values * hashed(history & 0xFFFFFF, bits)
        at[3] = model.predictions[3] + values * hashed(history << 32 >> 32, bits)
        at[4] = model.predictions[4] + values * hashed(history << 16 >> 16, bits)
        at[5] = model.predictions[5] + values * hashed(
            (history >> 4 & 15) << 8 | (history >> 12 & 15) << 4 | (history >> 20 & 15), bits,
        )
        weights = model.weights + INPUTS * values * (history & 0xFF)
        if RangeCoder is RangeEncoder:
            symbol = model.index_of[value[k]]
        symbol = code_index(coder, tables, &model.tree, at, INPUTS, weights, RATE, symbol)
        value[k] = model.value_of[symbol]
        history = history << 8 | value[k]
        if RangeCoder is RangeDecoder:
            if coder.missing > 3:
                break
    model.history = history


def encode(const uint8_t[::1] data):
    """Code a stream that has 2 or more distinct bytes; returns a Buffer."""
    cdef Buffer out = Buffer(data.shape[0] // 2 + 512), copy = Buffer(data.shape[0])
    cdef RangeEncoder coder
    cdef Model model
    cdef size_t counts[MAX_VALUES]
    cdef size_t by_index[MAX_VALUES]
    cdef size_t size = data.shape[0], done = 0, count
    cdef int k, values = 0
    copy.put(&data[0], size)
    memset(counts, 0, sizeof(counts))
    for done in range(size):
        counts[copy.data[done]] += 1
    out.put_u8(0)
    for k in range(256):
        if counts[k]:
            model.index_of[k] = <uint8_t> values
            model.value_of[values] = <uint8_t> k
            by_index[values] = counts[k]
            values += 1
            out.put_u8(<uint8_t> k)
    out.data[0] = <uint8_t> (values - 1)
    plant(&model.tree, values, by_index, out)
    with nogil:
        try:
            open_model(&model, size)
            out.reserve(8)
            open_encoder(&coder, out.data + out.size)
            done = 0
            while done < size:
                count = min(size - done, <size_t> AT_ONCE)
                out.reserve(MOST_BITS * <size_t> model.tree.depth * count // 8 + 16)
                coder.at = out.data + out.size
                code_bytes(&coder, &model, copy.data + done, count)
                out.size = coder.at - out.data
                done += count
            close_encoder(&coder)
            out.size = coder.at - out.data
        finally:
            close_model(&model)
    return out


def decode(const uint8_t[::1] stored, size_t size):
    """Decode a stream of ``size`` bytes; returns a Buffer. Raises FormatError if `encode` did not make ``stored``."""
    cdef Buffer out
    cdef RangeDecoder coder
    cdef Model model
    cdef int k, values = stored[0] + 1 if stored.shape[0] else 0
    if values < 2 or stored.shape[0] < 2 * values:
        raise FormatError("its table is truncated")
    for k in range(values):
        model.value_of[k] = stored[1 + k]
    if replant(&model.tree, values, &stored[1 + values]) < 0:
        raise FormatError("its table is not a tree")
    out = Buffer(size + 1)
    with nogil:
        try:
            open_model(&model, size)
            open_decoder(&coder, &stored[2 * values - 1] + 1, &stored[0] + stored.shape[0])
            code_bytes(&coder, &model, out.data, size)
        finally:
            close_model(&model)
    if not is_used_up(&coder):
        raise FormatError(f"it does not decode to exactly {size} bytes")
    out.size = size
    return out
