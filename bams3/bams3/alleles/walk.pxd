# The walk of a pileup over the CIGAR of a read, as in htslib. Everything here is inline and nogil.
#
# htslib visits the positions of a read one by one, and advances by at most one operation per position. Therefore an
# operation of length 0 is visited at a position that belongs to the operations after it.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.bam.fields cimport DELETION, INSERTION, MATCHES, QUERY, REFERENCE

cdef enum:
    PADDING_OP = 6


cdef struct Read:
    int64_t pos
    int64_t end             # after its last position; `pos` if it covers no position
    const uint32_t *cigar
    uint32_t operations
    int l_seq
    const uint8_t *seq      # as in BAM
    uint8_t *qual
    int64_t since           # before this position, the base `changed` has the quality `before`, because its mate had
    int32_t changed         # not come yet
    uint16_t flag
    uint8_t mapq
    uint8_t before


cdef struct Run:
    int64_t first           # the operation is visited at positions [first, last)
    int64_t last
    int64_t at              # where it begins on the reference
    int64_t base            # where it begins in the read
    uint32_t number         # index of the operation in the CIGAR
    uint32_t operation
    int64_t length


cdef inline bint is_in(uint32_t operation, uint32_t operations) noexcept nogil:
    return (operations >> (operation & 15)) & 1


cdef inline uint8_t code_of(const uint8_t *seq, int64_t base) noexcept nogil:
    """The 4-bit code of a base."""
    return (seq[base >> 1] >> ((~base & 1) << 2)) & 15


cdef inline bint to_reference(Run *run, const Read *read, uint32_t number, int64_t visited) noexcept nogil:
    """Move to the first operation from `number` on that consumes the reference; False if the read ends before."""
    cdef uint32_t k, operation
    for k in range(number, read.operations):
        operation = read.cigar[k] & 15
        if is_in(operation, REFERENCE):
            run.number, run.operation, run.length = k, operation, read.cigar[k] >> 4
            run.first = visited
            run.last = min(max(visited + 1, run.at + run.length), read.end)
            return run.first < run.last
        if is_in(operation, QUERY):
            run.base += read.cigar[k] >> 4
    return False


cdef inline bint first_run(Run *run, const Read *read, int64_t least) noexcept nogil:
    """Begin the walk. `least`: no position of any read is visited before this one."""
    run.at, run.base = read.pos, 0
    return to_reference(run, read, 0, max(read.pos, least))


cdef inline bint next_run(Run *run, const Read *read) noexcept nogil:
    if is_in(run.operation, QUERY):
        run.base += run.length
    run.at += run.length
    return to_reference(run, read, run.number + 1, run.last)


cdef inline int quality_at(const Read *read, const Run *run, int64_t position) noexcept nogil:
    """The quality that counts at a position: at a deletion or a skip, that of the next base; 0 if there is no base."""
    cdef int64_t base = run.base
    if is_in(run.operation, QUERY):
        base += position - run.at
    if base >= read.l_seq:
        return 0
    if base == read.changed and position < read.since:
        return read.before
    return read.qual[base]


cdef inline int64_t indel_after(const Read *read, const Run *run) noexcept nogil:
    """The number of bases that are inserted (positive) or deleted (negative) after the last position of a run."""
    cdef uint32_t k = run.number + 1, operation
    cdef int64_t found = 0
    if k >= read.operations or run.at + run.length - 1 < run.first or run.at + run.length > run.last:
        return 0
    operation = read.cigar[k] & 15
    if operation == DELETION and run.operation != DELETION:
        while k < read.operations and read.cigar[k] & 15 == DELETION:
            found -= read.cigar[k] >> 4
            k += 1
        return found
    if operation != INSERTION and operation != PADDING_OP:
        return 0
    for k in range(k, read.operations):
        if read.cigar[k] & 15 == INSERTION:
            found += read.cigar[k] >> 4
        elif is_in(read.cigar[k], REFERENCE) or (operation == INSERTION and read.cigar[k] & 15 != PADDING_OP):
            break
    return found


cdef struct Inserted:
    int64_t length          # inserted bases and padding
    int64_t deleted         # length of the deletion right after them
    uint32_t stop           # index of the operation after them


cdef inline Inserted inserted_after(const Read *read, const Run *run) noexcept nogil:
    """The insertion after a run, as a pileup prints it."""
    cdef Inserted found = Inserted(0, 0, run.number + 1)
    cdef uint32_t operation
    while found.stop < read.operations:
        operation = read.cigar[found.stop] & 15
        if operation != INSERTION and operation != PADDING_OP:
            if operation == DELETION:
                found.deleted = read.cigar[found.stop] >> 4
            break
        found.length += read.cigar[found.stop] >> 4
        found.stop += 1
    return found
