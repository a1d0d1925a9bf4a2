# The state of a marker, as far as it can affect later reads.

from libc.stdint cimport int32_t, int64_t
from libc.string cimport strlen

from bams3.buffer cimport Bytes, append
from bams3.duplicates.queue cimport Queue, Waiting, at
from bams3.duplicates.table cimport NOWHERE, Table


cdef inline int64_t back(const Queue *queue, int64_t number) noexcept nogil:
    """Return how many reads before the next one a read is; 0 if it has left the queue, NOWHERE if there is none."""
    if number == NOWHERE:
        return NOWHERE
    return queue.tail - number if number >= queue.head else 0


cdef inline int64_t best_of(const Queue *queue, const Table *table, int32_t node) noexcept nogil:
    return NOWHERE if node == NOWHERE else back(queue, table.nodes[node].value)


cdef inline int append_state(
    Bytes *found, const Queue *queue, const Table *table, int32_t ref, bint copies
) except -1 nogil:
    """Append the state to `found`. `copies`: whether the numbers of copies are part of it.

    Reads are identified by their distance from the next read, so the bytes do not depend on where the first read was.
    Reads of references other than `ref` are omitted, because they leave before a read of `ref` is compared.
    """
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
