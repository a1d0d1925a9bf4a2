"""Qualities by a context model: smaller than rANS, and many times slower.

Each quality, in the order in which the bases were sequenced, is the path through a binary tree, bit by bit. Three
adaptive predictions of a bit, each for another context (the two qualities before; the cycle and which read of the
pair; the qualities before and how much they changed so far), are mixed in the logistic domain with weights that
learn (Mahoney, Adaptive weighing of context models for lossless data compression, 2005), and the bit goes to the range
coder. docs/format.md, "Quality model", specifies it. All arithmetic is of integers, so that it is the same everywhere.
"""

from libc.math cimport exp, lround, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport total
from bams3.codec.range_coder cimport (
    RangeCoder, RangeDecoder, RangeEncoder, close_encoder, code_split, is_used_up, open_decoder, open_encoder,
)

from bams3.errors import FormatError

MAX_VALUES = 64

cdef enum:
    INPUTS = 3
    CYCLES = 256
    CHANGES = 8
    STEADY = 255  # a prediction moves by 1/(n + 1.6) of the way after n bits; n goes no further
    ONE = 1 << 22  # a probability of 1 in a prediction
    DOMAIN = 11 << 8  # of stretched probabilities, which are in 1/256
    REVERSE = 0x10
    READ2 = 0x80

# A prediction: probability of a 0, in 1/2^22, times 1024, plus how many bits it has seen.
cdef uint32_t NEW = (ONE // 2) << 10
cdef int32_t EQUAL_WEIGHT = 26214  # 0.4, in 1/65536

cdef int32_t stretched[4096]  # ln(p / (1 - p)), by p in 1/4096
cdef uint16_t squashed[2 * DOMAIN + 1]  # its inverse, in 1/65536
cdef int32_t step_of[STEADY + 1]  # in 1/65536


cdef struct Model:
    int values, bits
    uint32_t *predictions[INPUTS]
    int32_t *weights  # by quality before, node and input


cdef int open_model(Model *model, int values) except -1 nogil:
    cdef size_t nodes, sizes[INPUTS], k, entries = 0
    cdef int i
    model.values = values
    model.bits = 1
    while 1 << model.bits < values:
        model.bits += 1
    nodes = <size_t> 1 << model.bits
    sizes[0] = <size_t> values * values
    sizes[1] = CYCLES * 2
    sizes[2] = <size_t> values * values * CHANGES
    for i in range(INPUTS):
        entries += sizes[i] * nodes
    model.predictions[0] = <uint32_t *> malloc(entries * sizeof(uint32_t))
    model.weights = <int32_t *> malloc(values * nodes * INPUTS * sizeof(int32_t))
    if model.predictions[0] == NULL or model.weights == NULL:
        close_model(model)
        with gil:
            raise MemoryError("no memory for a model of qualities")
    for k in range(entries):
        model.predictions[0][k] = NEW
    for k in range(values * nodes * INPUTS):
        model.weights[k] = EQUAL_WEIGHT
    for i in range(1, INPUTS):
        model.predictions[i] = model.predictions[i - 1] + sizes[i - 1] * nodes
    return 0


cdef void close_model(Model *model) noexcept nogil:
    free(model.predictions[0])
    free(model.weights)


cdef inline void learn(uint32_t *prediction, int bit) noexcept nogil:
    cdef uint32_t seen = prediction[0] & 1023
    cdef int32_t probability = prediction[0] >> 10
    cdef int32_t target = 0 if bit else ONE - 1
    probability += <int32_t> ((<int64_t> (target - probability) * step_of[seen]) >> 16)
    prediction[0] = <uint32_t> probability << 10 | (seen + (seen < STEADY))


cdef inline int code_mixed(
    RangeCoder *coder, uint32_t *a, uint32_t *b, uint32_t *c, int32_t *weights, int bit
) noexcept nogil:
    """A bit, predicted by three."""
    cdef int32_t sa = stretched[a[0] >> 20], sb = stretched[b[0] >> 20], sc = stretched[c[0] >> 20]
    cdef int64_t sum = <int64_t> weights[0] * sa + <int64_t> weights[1] * sb + <int64_t> weights[2] * sc
    cdef int32_t mixed = <int32_t> (max(min(sum >> 16, <int64_t> DOMAIN), -<int64_t> DOMAIN))
    cdef int32_t probability = squashed[mixed + DOMAIN], error
    bit = code_split(coder, (coder.width >> 16) * <uint32_t> probability, bit)
    error = (0 if bit else 65535) - probability
    weights[0] = total(weights[0], (error * sa + 32768) >> 16)
    weights[1] = total(weights[1], (error * sb + 32768) >> 16)
    weights[2] = total(weights[2], (error * sc + 32768) >> 16)
    learn(a, bit)
    learn(b, bit)
    learn(c, bit)
    return bit


cdef inline void code_read(RangeCoder *coder, Model *model, uint8_t *quality, int64_t length, uint16_t flag) noexcept nogil:
    """The indices of the qualities of a read, coded, or decoded in place."""
    cdef int before = 0, second = 0, third = 0, changes = 0, symbol, change, k, node
    cdef int values = model.values, bits = model.bits
    cdef int64_t i, step = 1
    cdef uint32_t *a
    cdef uint32_t *b
    cdef uint32_t *c
    cdef int32_t *weights
    if flag & REVERSE:
        quality += length - 1
        step = -1
    for i in range(length):
        a = model.predictions[0] + (<size_t> (before * values + second) << bits)
        b = model.predictions[1] + (<size_t> (min(i, <int64_t> (CYCLES - 1)) * 2 + (flag & READ2 != 0)) << bits)
        c = model.predictions[2] + (
            <size_t> ((before * values + max(second, third)) * CHANGES + min(changes >> 3, CHANGES - 1)) << bits
        )
        weights = model.weights + (<size_t> before << bits) * INPUTS
        symbol = quality[0]
        node = 1
        for k in range(bits - 1, -1, -1):
            node = node << 1 | code_mixed(
                coder, &a[node], &b[node], &c[node], weights + INPUTS * node, symbol >> k & 1
            )
        symbol = min(node ^ 1 << bits, values - 1)
        quality[0] = <uint8_t> symbol
        quality += step
        if RangeCoder is RangeDecoder:
            if coder.missing > 3:
                return
        if i:
            change = before - symbol if before > symbol else symbol - before
            changes += min(change, 3)
        third = second
        second = before
        before = symbol


def encode(Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag):
    """The qualities, as indices below ``values`` (at most 64), of reads of these lengths, coded: a Buffer."""
    cdef Buffer out = Buffer(symbols.size // 2 + 64)
    cdef RangeEncoder coder
    cdef Model model
    cdef Py_ssize_t i
    cdef uint8_t *at = symbols.data
    with nogil:
        open_model(&model, values)
        try:
            open_encoder(&coder, out.data)
            for i in range(l_seq.shape[0]):
                # At most 17 bits for each of at most 6 decisions.
                out.reserve(13 * <size_t> l_seq[i] + 8)
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
    """Qualities of reads of these lengths, back to back: a Buffer. ``values``: what the indices stand for. Raises
    FormatError where ``stored`` is not what an encoder writes."""
    cdef Buffer qual
    cdef RangeDecoder coder
    cdef Model model
    cdef Py_ssize_t i
    cdef size_t size = 0, k
    cdef uint8_t *at
    if not 0 < values.shape[0] <= MAX_VALUES or stored.shape[0] == 0:
        raise FormatError("stream 'qual.model' has no values to go with it")
    for i in range(l_seq.shape[0]):
        size += l_seq[i]
    qual = Buffer(size)
    with nogil:
        open_model(&model, <int> values.shape[0])
        try:
            open_decoder(&coder, &stored[0], &stored[0] + stored.shape[0])
            at = qual.data
            for i in range(l_seq.shape[0]):
                if coder.missing > 3:
                    break
                code_read(&coder, &model, at, l_seq[i], flag[i])
                at += l_seq[i]
        finally:
            close_model(&model)
    if not is_used_up(&coder):
        raise FormatError("stream 'qual.model' does not fit the lengths of the row group's reads")
    qual.size = size
    for k in range(size):
        qual.data[k] = values[qual.data[k]]
    return qual


cdef int prepare() except -1:
    cdef int k
    cdef double p
    for k in range(4096):
        p = (k + 0.5) / 4096
        stretched[k] = <int32_t> lround(256 * log(p / (1 - p)))
    for k in range(-DOMAIN, DOMAIN + 1):
        squashed[k + DOMAIN] = <uint16_t> lround(65536 / (1 + exp(-k / 256.0)))
    for k in range(STEADY + 1):
        step_of[k] = 327680 // (5 * k + 8)
    return 0


prepare()
