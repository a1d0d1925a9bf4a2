# Sanitizes a record as `samtools fixmate` 1.24 does by default. Everything here is inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.bam.editable cimport CG, LONGEST_OPERATION, Editable, cut_out, find_end, name_of, note_own_tags, own_operations
from bams3.bam.fields cimport PROPER_PAIR, REFERENCE, SOFT_CLIP, UNMAP, load_u16, load_u32, next_tag


cdef enum:
    HARD_CLIP = 5
    NO_OPERATION = 16
    NM = 0x4D4E  # names of tags, as load_u16 reads them
    MD = 0x444D
    SM = 0x4D53


cdef inline int cut_at(Editable *read, int64_t limit) except -1 nogil:
    """Clip the part of an alignment beyond position `limit`. The alignment must begin before it and end after it."""
    cdef uint32_t *cigar = own_operations(read)
    cdef uint32_t operation, last
    cdef int64_t i = 0, n, before, end = read.pos
    while True:
        if REFERENCE >> (cigar[i] & 15) & 1:
            end += cigar[i] >> 4
            if end > limit:
                break
        i += 1
    before = end - (cigar[i] >> 4)
    if before >= limit:  # samtools treats this as a read that lies entirely beyond its reference
        read.flag = (read.flag | UNMAP) & ~PROPER_PAIR
        return 0
    cigar[i] = <uint32_t> (limit - before) << 4 | cigar[i] & 15
    n = i + 1
    last = <uint32_t> (end - limit) << 4 | SOFT_CLIP
    for i in range(n, read.cigar_count):
        operation = cigar[i]
        if operation & 15 == HARD_CLIP:
            cigar[n] = last
            n += 1
            last = operation
        else:
            last = ((last >> 4) + (operation >> 4)) << 4 | SOFT_CLIP
    cigar[n] = last
    read.cigar_count = n + 1
    find_end(read)
    return 0


cdef inline bint has_joinable(const Editable *read) noexcept nogil:
    """Whether two consecutive operations are equal, or an operation has length 0."""
    cdef uint32_t operation, last = NO_OPERATION
    cdef int64_t i
    for i in range(read.cigar_count):
        operation = load_u32(read.cigar + 4 * i)
        if operation & 15 == last or operation < 16:
            return True
        last = operation & 15
    return False


cdef inline int join_equal(Editable *read) except -1 nogil:
    """Join consecutive equal operations, and drop operations of length 0.

    As in samtools, the length of the first one is lost if the sum is too large for an operation.
    """
    cdef uint32_t *cigar = own_operations(read)
    cdef uint32_t operation, last = NO_OPERATION
    cdef int32_t length, last_length = 0
    cdef int64_t i, n = 0
    for i in range(read.cigar_count):
        operation, length = cigar[i] & 15, <int32_t> (cigar[i] >> 4)
        if operation == last and last_length + length > LONGEST_OPERATION:
            cigar[n - 1] = <uint32_t> LONGEST_OPERATION << 4 | operation
            length -= LONGEST_OPERATION
            cigar[n] = <uint32_t> length << 4 | operation
            n += 1
        elif operation == last:
            length += last_length
            cigar[n - 1] = <uint32_t> length << 4 | operation
        elif length > 0:
            cigar[n] = cigar[i]
            n += 1
        if length > 0:
            last, last_length = operation, length
    read.cigar_count = n
    find_end(read)
    return 0


cdef inline void clear_alignment(Editable *read) noexcept nogil:
    """Remove from an unmapped read the CIGAR, MAPQ and tags that only mapped reads have."""
    cdef uint8_t *tag = read.tags.data
    cdef uint8_t *end = tag + read.tags.size
    cdef uint16_t name
    read.edited = read.edited or read.cigar_count != 0
    read.cigar_count = read.mapq = 0
    while tag < read.tags.data + read.tags.size:
        name = load_u16(tag)
        if name == NM or name == MD or name == SM or name == name_of(CG):
            cut_out(&read.tags, tag)
        else:
            tag = <uint8_t *> next_tag(tag)
    if tag < end:
        note_own_tags(read)


cdef inline int sanitize(Editable *read, const int32_t *lengths) except -1 nogil:
    """Make a read unmapped if it has no valid position, clip it at the end of its reference, and adjust its fields.

    `lengths` are those of the references.
    """
    if read.ref < 0:
        read.pos = -1
        read.flag |= UNMAP
    if not read.flag & UNMAP:
        if read.pos < 0:
            read.flag |= UNMAP
        elif read.pos >= lengths[read.ref]:
            read.flag |= UNMAP
            read.ref = read.pos = -1
        elif read.end > lengths[read.ref]:
            cut_at(read, lengths[read.ref])
    if read.flag & UNMAP:
        clear_alignment(read)
    elif has_joinable(read):
        join_equal(read)
    return 0
