# A hash table from keys of reads to numbers. The indexes of nodes do not change, so reads can refer to them.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

from bams3.duplicates.keys cimport PAIR, SINGLE, Key

cdef enum:
    NOWHERE = -1


cdef struct Node:
    int64_t this_end
    int64_t other_end
    int32_t ref
    int32_t other_ref
    uint32_t barcode
    int32_t read_group
    uint32_t kind
    int32_t next   # next node in the same bucket, or in the list of free nodes
    uint64_t hash
    int64_t value


cdef struct Table:
    # It must be zeroed at the start.
    Node *nodes
    int32_t *buckets
    int32_t size      # number of nodes and of buckets: a power of two
    int32_t used      # number of nodes that have ever been in use
    int32_t unused    # index of the first node that is free again, + 1; 0 if there is none


cdef inline Node single_key(const Key *key) noexcept nogil:
    cdef Node node
    node.this_end, node.other_end = key.five_prime, 0
    node.ref, node.other_ref = key.ref, 0
    node.kind = SINGLE << 8 | key.strand
    return hashed(node, key)


cdef inline Node pair_key(const Key *key) noexcept nogil:
    cdef Node node
    node.this_end, node.other_end = key.this_end, key.other_end
    node.ref, node.other_ref = key.ref, key.other_ref
    node.kind = PAIR << 8 | key.sides
    return hashed(node, key)


cdef inline uint64_t mixed(uint64_t a, uint64_t b) noexcept nogil:
    a = (a ^ b) * <uint64_t> 0x9E3779B97F4A7C15
    return a ^ a >> 29


cdef inline Node hashed(Node node, const Key *key) noexcept nogil:
    node.barcode, node.read_group = key.barcode, key.read_group
    node.hash = mixed(node.this_end, node.other_end * <uint64_t> 0xD6E8FEB86659FD93)
    node.hash = mixed(node.hash, <uint64_t> <uint32_t> node.ref << 32 | <uint32_t> node.other_ref)
    node.hash = mixed(node.hash, <uint64_t> node.barcode << 32 | <uint32_t> node.read_group)
    node.hash = mixed(node.hash, node.kind)
    return node


cdef inline bint same(const Node *a, const Node *b) noexcept nogil:
    return (
        a.hash == b.hash and a.this_end == b.this_end and a.other_end == b.other_end and a.ref == b.ref
        and a.other_ref == b.other_ref and a.barcode == b.barcode and a.read_group == b.read_group and a.kind == b.kind
    )


cdef inline int grow(Table *table) except -1 nogil:
    """Double the numbers of nodes and buckets."""
    cdef int32_t size = 2 * table.size if table.size else 1024
    cdef int32_t i, bucket
    cdef void *nodes = NULL
    cdef void *buckets = NULL
    if table.size < 1 << 30:
        nodes = realloc(table.nodes, size * sizeof(Node))
    if nodes != NULL:
        table.nodes = <Node *> nodes
        buckets = realloc(table.buckets, size * sizeof(int32_t))
    if buckets == NULL:
        with gil:
            raise MemoryError(f"not enough memory for {size} keys of reads")
    table.buckets = <int32_t *> buckets
    table.size = size
    for i in range(size):
        table.buckets[i] = NOWHERE
    for i in range(table.used):  # all nodes are in use; otherwise, the table would not grow
        bucket = <int32_t> (table.nodes[i].hash & (size - 1))
        table.nodes[i].next = table.buckets[bucket]
        table.buckets[bucket] = i
    return 0


cdef inline int32_t find_or_add(Table *table, const Node *key, int64_t value, bint *found) except -1 nogil:
    """Return the node with a key; if there is none, add one with this value."""
    cdef int32_t at, bucket
    if not table.unused and table.used == table.size:
        grow(table)
    bucket = <int32_t> (key.hash & (table.size - 1))
    at = table.buckets[bucket]
    while at != NOWHERE:
        if same(&table.nodes[at], key):
            found[0] = True
            return at
        at = table.nodes[at].next
    found[0] = False
    if table.unused:
        at = table.unused - 1
        table.unused = table.nodes[at].next
    else:
        at = table.used
        table.used += 1
    table.nodes[at] = key[0]
    table.nodes[at].value = value
    table.nodes[at].next = table.buckets[bucket]
    table.buckets[bucket] = at
    return at


cdef inline void drop(Table *table, int32_t node) noexcept nogil:
    cdef int32_t *link = &table.buckets[table.nodes[node].hash & (table.size - 1)]
    while link[0] != node:
        link = &table.nodes[link[0]].next
    link[0] = table.nodes[node].next
    table.nodes[node].next = table.unused
    table.unused = node + 1


cdef inline void clear(Table *table) noexcept nogil:
    free(table.nodes)
    free(table.buckets)
