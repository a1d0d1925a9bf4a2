# A BAM record whose fields, CIGAR and tags can change, like htslib's bam1_t. Everything here is inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memmove

from bams3.bam.bins cimport reg2bin
from bams3.bam.cigar cimport spans
from bams3.bam.fields cimport (
    REF_SKIP, SOFT_CLIP, UNMAP, find_tag, load_u16, load_u32, next_tag, record_bin, record_cigar, record_cigar_count,
    record_end, record_flag, record_l_seq, record_mapq, record_name_length, record_next_pos, record_next_ref, record_pos,
    record_qual, record_ref, record_seq, record_tags, record_tlen,
)
from bams3.bam.validity cimport replaces_cigar
from bams3.buffer cimport Buffer, Bytes, append, make_room


cdef enum:
    MOST_OPERATIONS = 0xFFFF     # in the field CIGAR
    LONGEST_OPERATION = 0xFFFFFFF


# Known tags: an Editable knows where the first one of each is.
cdef enum:
    CG
    MQ
    MC
    MS
    KNOWN


cdef struct Editable:
    const uint8_t *record  # the original record, which has the name, the bases and the qualities
    const uint8_t *cigar   # the operations: in the record, in its tag CG, or in `operations`
    int64_t cigar_count
    int64_t end            # as in bam_endpos
    int32_t ref
    int32_t pos
    int32_t next_ref
    int32_t next_pos
    int32_t tlen
    uint16_t flag
    uint16_t bin
    uint8_t mapq
    bint edited            # whether the CIGAR differs from that in the record's field
    Bytes operations       # the operations, if they have changed
    Bytes tags
    int64_t[4] first       # where in `tags` the first tag of each known name begins, or -1
    int repeated           # bits: which known names occur more than once


cdef inline void find_end(Editable *read) noexcept nogil:
    cdef int64_t query, reference = 0
    if not read.flag & UNMAP:
        spans(read.cigar, read.cigar_count, &query, &reference)
    read.end = read.pos + (reference or 1)


cdef inline int load(Editable *read, const uint8_t *record) except -1 nogil:
    """Load a validated record as htslib does: the CIGAR in a tag CG moves to its field, and the bin is computed if
    there is a CIGAR. The record must stay in memory at the same place."""
    cdef const uint8_t *tags = record_tags(record)
    cdef const uint8_t *cg
    read.record, read.ref, read.pos, read.flag = record, record_ref(record), record_pos(record), record_flag(record)
    read.next_ref, read.next_pos = record_next_ref(record), record_next_pos(record)
    read.tlen, read.mapq, read.bin = record_tlen(record), record_mapq(record), record_bin(record)
    read.cigar, read.cigar_count, read.edited = record_cigar(record), record_cigar_count(record), False
    read.tags.size = 0
    if read.cigar_count and load_u32(read.cigar) == (<uint32_t> record_l_seq(record) << 4 | SOFT_CLIP):
        cg = find_tag(record, b"C", b"G")
        if cg != NULL and replaces_cigar(cg, record, read.cigar):
            read.cigar, read.cigar_count, read.edited = cg + 8, load_u32(cg + 4), True
            append(&read.tags, tags, cg - tags)
            append(&read.tags, next_tag(cg), record_end(record) - next_tag(cg))
            note_own_tags(read)
    if not read.edited:
        note_tags(read, tags, record_end(record))  # before the copy: reading bytes that were just written is slow
        append(&read.tags, tags, record_end(record) - tags)
    find_end(read)
    if read.cigar_count:
        read.bin = reg2bin(read.pos, read.end)
    return 0


cdef inline uint16_t name_of(int which) noexcept nogil:
    """The name of a known tag, as load_u16 reads it."""
    return 0x4743 if which == CG else 0x514D if which == MQ else 0x434D if which == MC else 0x736D


cdef inline void note_tag(Editable *read, uint16_t name, int64_t at) noexcept nogil:
    """Remember where a tag begins if it is a known one. Tags before it must have been noted."""
    cdef int which
    if name == name_of(CG):
        which = CG
    elif name == name_of(MQ):
        which = MQ
    elif name == name_of(MC):
        which = MC
    elif name == name_of(MS):
        which = MS
    else:
        return
    if read.first[which] < 0:
        read.first[which] = at
    else:
        read.repeated |= 1 << which


cdef inline void note_tags(Editable *read, const uint8_t *start, const uint8_t *end) noexcept nogil:
    """Remember where the known tags are. [start, end) are the read's tags, or bytes that will become them."""
    cdef const uint8_t *tag = start
    read.first = [-1, -1, -1, -1]
    read.repeated = 0
    while tag < end:
        note_tag(read, load_u16(tag), tag - start)
        tag = next_tag(tag)


cdef inline void note_own_tags(Editable *read) noexcept nogil:
    note_tags(read, read.tags.data, read.tags.data + read.tags.size)


cdef inline int64_t cut_out(Bytes *tags, uint8_t *tag) noexcept nogil:
    """Remove a tag; return its length."""
    cdef const uint8_t *after = next_tag(tag)
    memmove(tag, after, tags.data + tags.size - after)
    tags.size -= after - tag
    return after - tag


cdef inline void delete_first(Editable *read, int which) noexcept nogil:
    """Delete the first tag of a known name, if there is one."""
    cdef int64_t at = read.first[which], length
    cdef int k
    if at < 0:
        return
    if read.repeated >> which & 1:
        cut_out(&read.tags, read.tags.data + at)
        note_own_tags(read)
        return
    length = cut_out(&read.tags, read.tags.data + at)
    read.first[which] = -1
    for k in range(KNOWN):
        if read.first[k] > at:
            read.first[k] -= length


cdef inline uint8_t *begin_tag(Editable *read, int which, uint8_t kind, size_t room) except NULL nogil:
    """Append a known tag without its value. Returns where the value goes, with `room` bytes for it."""
    cdef uint8_t *tag
    cdef uint16_t name = name_of(which)
    make_room(&read.tags, 3 + room)
    tag = read.tags.data + read.tags.size
    memcpy(tag, &name, 2)
    tag[2] = kind
    note_tag(read, name, read.tags.size)
    read.tags.size += 3
    return tag + 3


cdef inline int append_integer(Editable *read, int which, uint32_t value) except -1 nogil:
    """Append a known tag of type i."""
    memcpy(begin_tag(read, which, b"i", 4), &value, 4)
    read.tags.size += 4
    return 0


cdef inline uint32_t *own_operations(Editable *read) except NULL nogil:
    """The operations, which may be changed, with room for one more."""
    if read.cigar != read.operations.data:
        read.operations.size = 0
        append(&read.operations, read.cigar, 4 * read.cigar_count)
        make_room(&read.operations, 4)
        read.cigar = read.operations.data
    read.edited = True
    return <uint32_t *> read.operations.data


cdef inline int64_t stored_size(const Editable *read) noexcept nogil:
    """The number of bytes that `put` writes."""
    return (
        (record_cigar(read.record) - read.record) + (record_tags(read.record) - record_seq(read.record))
        + 4 * read.cigar_count + (16 if read.cigar_count > MOST_OPERATIONS else 0) + <int64_t> read.tags.size
    )


cdef inline uint8_t *put_bytes(uint8_t *out, const void *source, int64_t size) noexcept nogil:
    memcpy(out, source, size)
    return out + size


cdef inline int put(const Editable *read, int64_t reference, Buffer out) except -1 nogil:
    """Append the record as htslib writes it: if there are too many operations for the field CIGAR, they go to a tag CG,
    and the field says that the read spans `reference` positions. The size must fit into 31 bits, and the lengths of
    operations into 28 bits."""
    cdef const uint8_t *record = read.record
    cdef int64_t size = stored_size(read)
    cdef uint32_t[2] instead
    cdef uint32_t block_size = <uint32_t> (size - 4), count = <uint32_t> read.cigar_count
    cdef uint16_t cigar_count = <uint16_t> (2 if count > MOST_OPERATIONS else count)
    cdef uint8_t *p
    cdef uint8_t *end
    out.reserve(size)
    p = out.data + out.size
    out.size += size
    end = put_bytes(p, record, (record_cigar(record) if read.edited else record_tags(record)) - record)
    memcpy(p, &block_size, 4)
    memcpy(p + 4, &read.ref, 4)
    memcpy(p + 8, &read.pos, 4)
    p[13] = read.mapq
    memcpy(p + 14, &read.bin, 2)
    memcpy(p + 16, &cigar_count, 2)
    memcpy(p + 18, &read.flag, 2)
    memcpy(p + 24, &read.next_ref, 4)
    memcpy(p + 28, &read.next_pos, 4)
    memcpy(p + 32, &read.tlen, 4)
    if read.edited:
        if count > MOST_OPERATIONS:
            instead[0] = <uint32_t> record_l_seq(record) << 4 | SOFT_CLIP
            instead[1] = <uint32_t> reference << 4 | REF_SKIP
            end = put_bytes(end, instead, 8)
        else:
            end = put_bytes(end, read.cigar, 4 * read.cigar_count)
        end = put_bytes(end, record_seq(record), record_tags(record) - record_seq(record))
    end = put_bytes(end, read.tags.data, read.tags.size)
    if count > MOST_OPERATIONS:
        end = put_bytes(end, b"CGBI", 4)
        end = put_bytes(end, &count, 4)
        put_bytes(end, read.cigar, 4 * read.cigar_count)
    return 0
