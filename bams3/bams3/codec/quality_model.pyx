"""Qualities coded by a context model: smaller than rANS, and many times slower.

Each quality, in sequencing order, is a path through a binary search tree, bit by bit. Three
adaptive predictions of a bit, each in another context (the two previous qualities; the cycle and which read of the
pair; the previous qualities and how much they have changed so far), are mixed in the logistic domain with adaptive
weights (Mahoney, Adaptive weighing of context models for lossless data compression, 2005), and the bit goes to the
range coder. docs/format.md, "Quality model", specifies it. All arithmetic is on integers, so results are the same everywhere.
"""

from libc.math cimport exp, lround, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport total
from bams3.bam.fields cimport READ2, REVERSE
from bams3.codec.range_coder cimport (
    RangeCoder, RangeDecoder, RangeEncoder, close_encoder, code_split, is_used_up, open_decoder, open_encoder,
)

from bams3.errors import FormatError

cdef enum:
    MAX_VALUES = 64
    INPUTS = 3
    CYCLES = 256
    CHANGES = 8
    STEADY = 255  # after n bits a prediction moves by 1/(n + 1.6) of the way; n stops here
    ONE = 1 << 22  # a probability of 1 in a prediction
    DOMAIN = 11 << 8  # range of stretched probabilities, in units of 1/256

# A prediction: the probability of a 0, in units of 1/2^22, times 1024, plus the number of bits it has seen.
cdef uint32_t NEW = (ONE // 2) << 10
cdef int32_t EQUAL_WEIGHT = 26214  # 0.4, in 1/65536

cdef int32_t stretched[4096]  # ln(p / (1 - p)), by p in units of 1/4096
cdef uint16_t squashed[2 * DOMAIN + 1]  # its inverse, in 1/65536
cdef int32_t step_of[STEADY + 1]  # in 1/65536


cdef struct Model:
    int values, root, depth
    # An inner node is the smallest index on its right. Its children, left and right; 0: the leaf node - 1, or node.
    uint8_t below[MAX_VALUES][2]
    uint32_t *predictions[INPUTS]
    int32_t *weights  # by previous quality, node and input


cdef int plant(Model *model, uint8_t *splits, int *used, int low, int high, int depth, const size_t *up_to) noexcept nogil:
    """Build the tree of the indices [low, high): returns its root, 0 for a leaf, -1 if ``splits``, its nodes in
    preorder, is not a tree. If there are counts (``up_to`` each index), half of the count goes to each side and
    ``splits`` is written."""
    cdef int node, left, right
    model.depth = max(model.depth, depth)
    if high - low < 2:
        return 0
    if up_to != NULL:
        node = low + 1
        while node + 1 < high and 2 * up_to[node] < up_to[low] + up_to[high]:
            node += 1
        # The nearer of the two around the middle.
        if node - 1 > low and up_to[node] + up_to[node - 1] > up_to[low] + up_to[high]:
            node -= 1
        splits[used[0]] = <uint8_t> node
    node = splits[used[0]]
    if not low < node < high:
        return -1
    used[0] += 1
    left = plant(model, splits, used, low, node, depth + 1, up_to)
    right = plant(model, splits, used, node, high, depth + 1, up_to) if left >= 0 else -1
    if right < 0:
        return -1
    model.below[node][0] = <uint8_t> left
    model.below[node][1] = <uint8_t> right
    return node


cdef int open_model(Model *model, int values) except -1 nogil:
    """Initialize the predictions; the tree has been built already."""
    cdef size_t sizes[INPUTS], k, entries = 0
    cdef int i
    model.values = values
    sizes[0] = <size_t> values * values
    sizes[1] = CYCLES * 2
    sizes[2] = <size_t> values * values * CHANGES
    for i in range(INPUTS):
        entries += sizes[i] * values
    model.predictions[0] = <uint32_t *> malloc(entries * sizeof(uint32_t))
    model.weights = <int32_t *> malloc(values * values * INPUTS * sizeof(int32_t))
    if model.predictions[0] == NULL or model.weights == NULL:
        close_model(model)
        with gil:
            raise MemoryError("not enough memory for the quality model")
    for k in range(entries):
        model.predictions[0][k] = NEW
    for k in range(values * values * INPUTS):
        model.weights[k] = EQUAL_WEIGHT
    for i in range(1, INPUTS):
        model.predictions[i] = model.predictions[i - 1] + sizes[i - 1] * values
    return 0


cdef void close_model(Model *model) noexcept nogil:
    free(model.predictions[0])
    free(model.weights)


cdef inline void learn(uint32_t *prediction, int bit) noexcept nogil:
    cdef uint32_t seen = prediction[0] & 1023
    cdef int32_t probability = prediction[0] >> 10
    cdef int32_t target = (ONE - 1) & (bit - 1)
    probability += <int32_t> ((<int64_t> (target - probability) * step_of[seen]) >> 16)
    prediction[0] = <uint32_t> probability << 10 | (seen + (seen < STEADY))


cdef inline int code_mixed(
    RangeCoder *coder, uint32_t *a, uint32_t *b, uint32_t *c, int32_t *weights, int bit
) noexcept nogil:
    """Code a bit, predicted by three predictions."""
    cdef int32_t sa = stretched[a[0] >> 20], sb = stretched[b[0] >> 20], sc = stretched[c[0] >> 20]
    cdef int64_t sum = <int64_t> weights[0] * sa + <int64_t> weights[1] * sb + <int64_t> weights[2] * sc
    cdef int32_t mixed = <int32_t> (max(min(sum >> 16, <int64_t> DOMAIN), -<int64_t> DOMAIN))
    cdef int32_t probability = squashed[mixed + DOMAIN], error
    bit = code_split(coder, (coder.width >> 16) * <uint32_t> probability, bit)
    error = (65535 & (bit - 1)) - probability
    weights[0] = total(weights[0], (error * sa + 32768) >> 16)
    weights[1] = total(weights[1], (error * sb + 32768) >> 16)
    weights[2] = total(weights[2], (error * sc + 32768) >> 16)
    learn(a, bit)
    learn(b, bit)
    learn(c, bit)
    return bit


cdef inline void code_read(RangeCoder *coder, Model *model, uint8_t *quality, int64_t length, uint16_t flag) noexcept nogil:
    """Code the indices of a read's qualities, or decode them in place."""
    cdef int before = 0, second = 0, third = 0, changes = 0, symbol, change, node, bit
    cdef int values = model.values
    cdef int64_t i, step = 1
    cdef uint32_t *a
    cdef uint32_t *b
    cdef uint32_t *c
    cdef int32_t *weights
    if flag & REVERSE:
        quality += length - 1
        step = -1
    for i in range(length):
        a = model.predictions[0] + values * (before * values + second)
        b = model.predictions[1] + values * (min(i, <int64_t> (CYCLES - 1)) * 2 + (flag & READ2 != 0))
        c = model.predictions[2] + values * (
            (before * values + max(second, third)) * CHANGES + min(changes >> 3, CHANGES - 1)
        )
        weights = model.weights + INPUTS * values * before
        symbol = quality[0]
        node = model.root
        while True:
            bit = code_mixed(coder, &a[node], &b[node], &c[node], weights + INPUTS * node, symbol >= node)
            if model.below[node][bit] == 0:
                break
            node = model.below[node][bit]
        symbol = node - 1 + bit
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
    """Code the qualities of reads of these lengths, given as indices below ``values`` (2 to 64): a Buffer."""
    cdef Buffer out = Buffer(symbols.size // 2 + 64)
    cdef RangeEncoder coder
    cdef Model model
    cdef Py_ssize_t i
    cdef size_t up_to[MAX_VALUES + 1]
    cdef size_t k
    cdef int used = 0
    cdef uint8_t *at = symbols.data
    memset(up_to, 0, sizeof(up_to))
    with nogil:
        for k in range(symbols.size):
            up_to[symbols.data[k] + 1] += 1
        for k in range(MAX_VALUES):
            up_to[k + 1] += up_to[k]
        model.depth = 0
        model.root = plant(&model, out.data, &used, 0, values, 0, up_to)
        out.size = values - 1
        open_model(&model, values)
        try:
            open_encoder(&coder, out.data)
            for i in range(l_seq.shape[0]):
                out.reserve(3 * <size_t> model.depth * l_seq[i] + 8)  # a decision takes at most 17 bits
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
    """Decode the qualities of reads of these lengths, concatenated: a Buffer. ``values``: the values of the indices.
    Raises FormatError if ``stored`` is not the output of an encoder."""
    cdef int count = <int> values.shape[0], used = 0
    cdef Buffer qual, splits = Buffer(MAX_VALUES)
    cdef RangeDecoder coder
    cdef Model model
    cdef Py_ssize_t i
    cdef size_t size = 0, k
    cdef uint8_t *at
    if not 1 < count <= MAX_VALUES or stored.shape[0] < count:
        raise FormatError("stream 'qual.model' is too short for the values in 'qual.values', or there are too many")
    splits.put(&stored[0], count - 1)
    model.depth = 0
    model.root = plant(&model, splits.data, &used, 0, count, 0, NULL)
    if model.root < 0:
        raise FormatError("stream 'qual.model' does not start with a tree of the values in 'qual.values'")
    for i in range(l_seq.shape[0]):
        size += l_seq[i]
    qual = Buffer(size)
    with nogil:
        open_model(&model, count)
        try:
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
