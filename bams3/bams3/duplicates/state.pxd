# What the reads so far have left that later reads can meet.

from libc.stdint cimport int32_t, int64_t
from libc.string cimport strlen

from bams3.buffer cimport Bytes, append
from bams3.duplicates.queue cimport Queue, Waiting, at
from bams3.duplicates.table cimport NOWHERE, Table


cdef inline int64_t back(const Queue *queue, int64_t number) noexcept nogil:
    """How far before the next read the one with this number is; 0 if it has left, NOWHERE if there is none."""
    if number == NOWHERE:
        return NOWHERE
    return queue.tail - number if number >= queue.head else 0


cdef inline int64_t best_of(const Queue *queue, const Table *table, int32_t node) noexcept nogil:
    return NOWHERE if node == NOWHERE else back(queue, table.nodes[node].value)


cdef inline int append_state(
    Bytes *found, const Queue *queue, const Table *table, int32_t ref, bint copies
) except -1 nogil:
    """Reads are told by how far back they are, so these bytes do not depend on where the first read was. Those of other
    references than `ref` leave before they meet a read of it. `copies`: whether they count."""
    cdef int64_t[6] cells
    cdef int64_t number
    cdef Waiting *read
    for number in range(queue.head, queue.tail):
        read = at(queue, number)
        if read.ref != ref:
            continue
        cells[0] = read.duplicate | read.optical << 1 | read.checked << 2 | (read.original_name != NULL) << 3
        cells[1] = read.copies if copies else 0
        cells[2] = back(queue, read.original)
        cells[3] = back(queue, read.next_duplicate)
        cells[4] = best_of(queue, table, read.pair_node)
        cells[5] = best_of(queue, table, read.single_node)
        append(found, cells, sizeof(cells))
        if read.original_name != NULL:
            append(found, read.original_name, strlen(read.original_name) + 1)
    return 0
