# A queue of reads that wait until no later read can be compared with them.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from bams3.bam.fields cimport QCFAIL, find_tag, load_i32, load_u16, record_flag, record_l_seq, record_name, record_qual
from bams3.bam.qualities cimport sum_of_good
from bams3.duplicates.table cimport NOWHERE

cdef enum:
    UNKNOWN = -1


cdef struct Waiting:
    # A read in the queue. A number of a read is NOWHERE if there is no such read.
    int64_t until           # reads that begin at or after this position can't be compared with it
    const uint8_t *record
    int64_t score           # from its qualities, and those of its mate; or UNKNOWN
    int64_t original        # the read that it was first found to be a duplicate of
    int64_t next_duplicate  # the next read in the chain of duplicates of an original
    char *original_name     # if requested
    uint32_t copies         # number of reads that it represents, including itself
    int32_t ref
    int32_t pair_node       # nodes of the keys that it added, or NOWHERE
    int32_t single_node
    int32_t read_group
    uint8_t kind
    uint8_t duplicate
    uint8_t optical
    uint8_t checked         # whether its chain was checked
    uint8_t own             # whether it is in the batch that is marked; others are only compared


cdef struct Queue:
    # It must be zeroed at the start. Reads are numbered from 0; those in [head, tail) are in the queue.
    Waiting *reads
    int64_t capacity  # a power of two; read number n is at index n modulo capacity
    int64_t head
    int64_t tail


cdef inline Waiting *at(const Queue *queue, int64_t number) noexcept nogil:
    return &queue.reads[number & (queue.capacity - 1)]


cdef inline Waiting *still(const Queue *queue, int64_t number) noexcept nogil:
    """Return a read by its number; NULL if it has left the queue or does not exist."""
    return at(queue, number) if number >= queue.head else NULL


cdef inline Waiting *push(Queue *queue) except NULL nogil:
    """Add a place for a read at the end of the queue, and return it."""
    cdef int64_t capacity, i
    cdef void *reads
    cdef Waiting *read
    if queue.tail - queue.head == queue.capacity:
        capacity = 2 * queue.capacity if queue.capacity else 1024
        reads = realloc(queue.reads, capacity * sizeof(Waiting))
        if reads == NULL:
            with gil:
                raise MemoryError(f"not enough memory for a queue of {capacity} reads")
        queue.reads = <Waiting *> reads
        # The indexes of some reads differ in the larger array.
        for i in range(queue.head, queue.tail):
            if i & (capacity - 1) != i & (queue.capacity - 1):
                queue.reads[i & (capacity - 1)] = queue.reads[i & (queue.capacity - 1)]
        queue.capacity = capacity
    read = at(queue, queue.tail)
    queue.tail += 1
    memset(read, 0, sizeof(Waiting))
    read.score = UNKNOWN
    read.original = read.next_duplicate = NOWHERE
    read.pair_node = read.single_node = NOWHERE
    read.copies = 1
    return read


# Chains: an original, and all reads that were found to be duplicates of it or of one of its duplicates.


cdef inline Waiting *last_of(const Queue *queue, int64_t number) noexcept nogil:
    """Return the last read of the chain that begins with this read."""
    cdef Waiting *read = at(queue, number)
    while still(queue, read.next_duplicate) != NULL:
        read = at(queue, read.next_duplicate)
    return read


cdef inline void replace(const Queue *queue, int64_t best, int64_t number) noexcept nogil:
    """Put a read in front of the chain of the best read, which it replaces."""
    last_of(queue, number).next_duplicate = best
    at(queue, best).original = number


cdef inline void follow(const Queue *queue, int64_t best, int64_t number) noexcept nogil:
    """Add a read to the chain of the best read, which is better."""
    cdef Waiting *read = at(queue, number)
    if at(queue, best).next_duplicate != NOWHERE:
        if read.next_duplicate != NOWHERE:
            last_of(queue, best).next_duplicate = read.next_duplicate
        read.next_duplicate = at(queue, best).next_duplicate
    at(queue, best).next_duplicate = number
    read.original = best


cdef inline const char *name_of(const Waiting *read) noexcept nogil:
    return <const char *> record_name(read.record)


cdef inline bint failed(const Waiting *read) noexcept nogil:
    return record_flag(read.record) & QCFAIL != 0


cdef inline int64_t score_of(const uint8_t *record) noexcept nogil:
    return sum_of_good(record_qual(record), record_l_seq(record))


cdef inline bint mate_score(const uint8_t *record, int32_t *score) noexcept nogil:
    """Get the tag ms as a 32-bit number; return False if there is none, or if it is -1, which samtools treats alike."""
    cdef const uint8_t *tag = find_tag(record, c"m", c"s")
    score[0] = 0
    if tag == NULL:
        return False
    if tag[2] == c"i" or tag[2] == c"I":
        score[0] = load_i32(tag + 3)
    elif tag[2] == c"s":
        score[0] = <int16_t> load_u16(tag + 3)
    elif tag[2] == c"S":
        score[0] = load_u16(tag + 3)
    elif tag[2] == c"c":
        score[0] = <int8_t> tag[3]
    elif tag[2] == c"C":
        score[0] = tag[3]
    return score[0] != -1
