"""A value of each base, such as its quality, coded by a model that sees the surrounding bases and their alignment.

Every value, in sequencing order, is a path through a binary search tree. Six adaptive predictions of each bit are
mixed (``mixing``): three depend on the previous values, and three on the surrounding bases, homopolymers and alignment,
which are decoded first. docs/format.md, "Base model", specifies it.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from bams3.bam.fields cimport READ2, REVERSE
from bams3.buffer cimport Buffer
from bams3.codec.mixing cimport (
    MAX_VALUES, MOST_BITS, Tables, Tree, code_index, new_predictions, new_weights, plant, replant, the_tables,
)
from bams3.codec.range_coder cimport (
    RangeCoder, RangeDecoder, RangeEncoder, close_encoder, is_used_up, open_decoder, open_encoder,
)
from bams3.codec.surroundings cimport ALIGNMENTS, PENTAMERS, RUNS, Surrounding, Surroundings

from bams3.errors import FormatError

cdef enum:
    MOST_VALUES = 128
    INPUTS = 6
    CYCLES = 256
    CHANGES = 8
    CLASSES = 8        # of values, by the three highest levels of the tree
    CLASS_DEPTH = 3
    EQUAL_WEIGHT = 13107  # 0.2, in 1/65536
    RATE = 15
    AT_ONCE = 1 << 12  # values that are coded before the encoder reserves more room


cdef struct Model:
    Tree tree
    uint8_t class_of[MAX_VALUES]
    uint32_t *predictions[INPUTS]
    int32_t *weights  # by previous value, node and input


cdef struct Read:
    # The last three values of the read, and how much its values have changed so far.
    int before, second, third, changes
    int64_t cycle


cdef int open_model(Model *model) except -1 nogil:
    """Initialize the predictions. The tree must have been built."""
    cdef size_t values = model.tree.values, count = 0
    cdef size_t *sizes = [
        values * values, CYCLES * 2, CLASSES * CLASSES * CHANGES, PENTAMERS * CLASSES, RUNS * CLASSES,
        ALIGNMENTS * CLASSES,
    ]
    cdef int i
    model.predictions[0] = NULL
    model.weights = NULL
    memset(model.class_of, 0, sizeof(model.class_of))
    split_classes(model, model.tree.root, 0)
    for i in range(1, <int> values):
        model.class_of[i] += model.class_of[i - 1]
    for i in range(INPUTS):
        count += sizes[i] * values
    model.predictions[0] = new_predictions(count)
    for i in range(1, INPUTS):
        model.predictions[i] = model.predictions[i - 1] + sizes[i - 1] * values
    model.weights = new_weights(values * values * INPUTS, EQUAL_WEIGHT)
    return 0


cdef void split_classes(Model *model, int node, int depth) noexcept nogil:
    """Mark the nodes of the highest levels of the tree, where a class of values begins."""
    if node and depth < CLASS_DEPTH:
        model.class_of[node] = 1
        split_classes(model, model.tree.below[node][0], depth + 1)
        split_classes(model, model.tree.below[node][1], depth + 1)


cdef void close_model(Model *model) noexcept nogil:
    free(model.predictions[0])
    free(model.weights)


cdef inline void code_values(
    RangeCoder *coder, Model *model, Read *read, const Surrounding *around, uint8_t *value, int step, int64_t count,
    bint second_read,
) noexcept nogil:
    """Code values of a read, given as indices, or decode them in place."""
    cdef const Tables *tables = the_tables()
    cdef int values = model.tree.values, before = read.before, second = read.second, third = read.third
    cdef int changes = read.changes, symbol = 0, kind
    cdef uint32_t *at[INPUTS]
    cdef int32_t *weights
    cdef int64_t k
    for k in range(count):
        kind = model.class_of[before]
        at[0] = model.predictions[0] + values * (before * values + second)
        at[1] = model.predictions[1] + values * (min(read.cycle, <int64_t> (CYCLES - 1)) * 2 + second_read)
        at[2] = model.predictions[2] + values * (
            (kind * CLASSES + model.class_of[max(second, third)]) * CHANGES + min(changes >> 3, CHANGES - 1)
        )
        at[3] = model.predictions[3] + values * (around[k].bases * CLASSES + kind)
        at[4] = model.predictions[4] + values * (around[k].run * CLASSES + kind)
        at[5] = model.predictions[5] + values * (around[k].alignment * CLASSES + kind)
        weights = model.weights + INPUTS * values * before
        if RangeCoder is RangeEncoder:
            symbol = value[0]
        symbol = code_index(coder, tables, &model.tree, at, INPUTS, weights, RATE, symbol)
        value[0] = <uint8_t> symbol
        value += step
        if RangeCoder is RangeDecoder:
            if coder.missing > 3:
                break
        if read.cycle:
            changes += min(before - symbol if before > symbol else symbol - before, 3)
        read.cycle += 1
        third = second
        second = before
        before = symbol
    read.before = before
    read.second = second
    read.third = third
    read.changes = changes


def encode(Buffer symbols, int values, const int32_t[::1] l_seq, const uint16_t[::1] flag, Surroundings around not None):
    """Code the qualities of some reads.

    Parameters
    ----------
    symbols
        The qualities as indices, one byte each, concatenated.
    values
        The number of distinct qualities, 2 to 128; all indices are below it.
    l_seq, flag
        Length and FLAG of each read, int32 and uint16, shape (n,).
    around
        The surroundings of the reads' bases.

    Returns
    -------
    Buffer
        The coded qualities.
    """
    cdef Buffer out = Buffer(symbols.size // 2 + 64)
    cdef RangeEncoder coder
    cdef Model model
    cdef Read read
    cdef const Surrounding *surrounding
    cdef uint8_t *value
    cdef size_t counts[MAX_VALUES]
    cdef size_t k
    cdef int64_t done, count, at = 0
    cdef Py_ssize_t i
    cdef int step
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
                surrounding = around.of(i, flag[i] & REVERSE)
                value = symbols.data + at + (l_seq[i] - 1 if flag[i] & REVERSE else 0)
                step = -1 if flag[i] & REVERSE else 1
                memset(&read, 0, sizeof(read))
                done = 0
                while done < l_seq[i]:
                    count = min(l_seq[i] - done, <int64_t> AT_ONCE)
                    out.reserve(MOST_BITS * <size_t> model.tree.depth * count // 8 + 16)
                    coder.at = out.data + out.size
                    code_values(
                        &coder, &model, &read, surrounding + done, value + step * done, step, count,
                        flag[i] & READ2 != 0,
                    )
                    out.size = coder.at - out.data
                    done += count
                at += l_seq[i]
            close_encoder(&coder)
            out.size = coder.at - out.data
        finally:
            close_model(&model)
    return out


def decode(
    const uint8_t[::1] stored, const uint8_t[::1] values, const int32_t[::1] l_seq, const uint16_t[::1] flag,
    Surroundings around not None,
):
    """Decode what `encode` has coded.

    Parameters
    ----------
    stored
        The coded qualities.
    values
        The quality that each index stands for.
    l_seq, flag, around
        As in `encode`.

    Returns
    -------
    Buffer
        The qualities of all reads, one byte each, concatenated.

    Raises
    ------
    FormatError
        If ``stored`` is not the output of `encode`.
    """
    cdef int count = <int> values.shape[0]
    cdef Buffer qual
    cdef RangeDecoder coder
    cdef Model model
    cdef Read read
    cdef uint8_t *value
    cdef Py_ssize_t i
    cdef size_t size = 0, k
    if not 1 < count <= MOST_VALUES or stored.shape[0] < count:
        raise FormatError("stream 'qual.contexts' is too short for the values in 'qual.values', or there are too many")
    if replant(&model.tree, count, &stored[0]) < 0:
        raise FormatError("stream 'qual.contexts' does not start with a tree of the values in 'qual.values'")
    for i in range(l_seq.shape[0]):
        size += l_seq[i]
    qual = Buffer(size + 1)
    with nogil:
        try:
            open_model(&model)
            open_decoder(&coder, &stored[count - 1], &stored[0] + stored.shape[0])
            value = qual.data
            for i in range(l_seq.shape[0]):
                if coder.missing > 3:
                    break
                memset(&read, 0, sizeof(read))
                code_values(
                    &coder, &model, &read, around.of(i, flag[i] & REVERSE),
                    value + (l_seq[i] - 1 if flag[i] & REVERSE else 0), -1 if flag[i] & REVERSE else 1, l_seq[i],
                    flag[i] & READ2 != 0,
                )
                value += l_seq[i]
        finally:
            close_model(&model)
    if not is_used_up(&coder):
        raise FormatError("stream 'qual.contexts' does not match the lengths of the row group's reads")
    qual.size = size
    for k in range(size):
        qual.data[k] = values[qual.data[k]]
    return qual
