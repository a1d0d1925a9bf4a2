"""Trees of values, and initial predictions and weights of models that mix predictions; `mixing.pxd` codes the bits."""

from libc.math cimport exp, lround, log
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport malloc

from bams3.buffer cimport Buffer

cdef uint32_t NEW = <uint32_t> (ONE // 2) << 10

cdef Tables TABLES


cdef const Tables *the_tables() noexcept nogil:
    return &TABLES


cdef int plant(Tree *tree, int values, const size_t *counts, Buffer out) except -1:
    """Build a tree in which each node halves the counts of the values; append its nodes, in preorder, to ``out``."""
    cdef size_t up_to[MAX_VALUES + 1]
    cdef uint8_t nodes[MAX_VALUES]
    cdef int k, used = 0
    up_to[0] = 0
    for k in range(values):
        up_to[k + 1] = up_to[k] + counts[k]
    halve(nodes, &used, 0, values, up_to)
    out.put(nodes, used)
    return replant(tree, values, nodes)


cdef void halve(uint8_t *nodes, int *used, int low, int high, const size_t *up_to) noexcept nogil:
    cdef int node = low + 1
    if high - low < 2:
        return
    while node + 1 < high and 2 * up_to[node] < up_to[low] + up_to[high]:
        node += 1
    # Of the two nodes around the middle, take the nearer one.
    if node - 1 > low and up_to[node] + up_to[node - 1] > up_to[low] + up_to[high]:
        node -= 1
    nodes[used[0]] = <uint8_t> node
    used[0] += 1
    halve(nodes, used, low, node, up_to)
    halve(nodes, used, node, high, up_to)


cdef int replant(Tree *tree, int values, const uint8_t *nodes) noexcept nogil:
    """Build the tree of these ``values - 1`` nodes, in preorder; returns its root, or -1 if they are not a tree."""
    cdef int used = 0
    tree.values = values
    tree.depth = 0
    tree.root = grow(tree, nodes, &used, 0, values, 0)
    return tree.root


cdef int grow(Tree *tree, const uint8_t *nodes, int *used, int low, int high, int depth) noexcept nogil:
    """Build the subtree of [low, high): returns its root, 0 for a leaf, -1 if the nodes are not a tree."""
    cdef int node, left, right
    tree.depth = max(tree.depth, depth)
    if high - low < 2:
        return 0
    node = nodes[used[0]]
    if not low < node < high:
        return -1
    used[0] += 1
    left = grow(tree, nodes, used, low, node, depth + 1)
    right = grow(tree, nodes, used, node, high, depth + 1) if left >= 0 else -1
    if right < 0:
        return -1
    tree.below[node][0] = <uint8_t> left
    tree.below[node][1] = <uint8_t> right
    return node


cdef uint32_t *filled(size_t count, uint32_t value) except NULL nogil:
    cdef uint32_t *numbers = <uint32_t *> malloc(count * sizeof(uint32_t))
    cdef size_t k
    if numbers == NULL:
        with gil:
            raise MemoryError("not enough memory for the predictions of a model")
    for k in range(count):
        numbers[k] = value
    return numbers


cdef uint32_t *new_predictions(size_t count) except NULL nogil:
    """Predictions that have seen no bits yet; the caller frees them."""
    return filled(count, NEW)


cdef int32_t *new_weights(size_t count, int32_t weight) except NULL nogil:
    """Equal weights, in units of 1/65536; the caller frees them."""
    return <int32_t *> filled(count, <uint32_t> weight)


cdef int prepare() except -1:
    cdef int k
    cdef double p
    for k in range(4096):
        p = (k + 0.5) / 4096
        TABLES.stretched[k] = <int32_t> lround(256 * log(p / (1 - p)))
    for k in range(-DOMAIN, DOMAIN + 1):
        TABLES.squashed[k + DOMAIN] = <uint16_t> lround(65536 / (1 + exp(-k / 256.0)))
    for k in range(STEADY + 1):
        TABLES.step[k] = 327680 // (5 * k + 8)
    return 0


prepare()
