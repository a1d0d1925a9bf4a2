# Checks that a BAM record is valid (SAM specification, 4.2), before other code trusts it. Everything here is inline and
# nogil.

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr

from bams3.bam.fields cimport load_i32, load_u16, load_u32, tag_width


cdef enum:
    FIXED = 32  # bytes of the fixed part of a record, after block_size


# What can be wrong with a record. INCOMPLETE is not a fault of the record: the buffer ends before the record does.
cdef enum Fault:
    NONE = 0
    INCOMPLETE
    BLOCK_SIZE
    LENGTHS
    NAME
    REFERENCE
    NEXT_REFERENCE
    POSITION
    NEXT_POSITION
    CIGAR_OPERATION
    CIGAR_LENGTH
    ALIGNMENT_END
    TAG_TYPE
    TAG_LENGTH


cdef inline const uint8_t *terminator(const uint8_t *p, const uint8_t *end) noexcept nogil:
    """The first NUL in [p, end), or `end`; most strings in tags are only a few bytes long."""
    cdef const uint8_t *near = p + 16 if end - p > 16 else end
    while p < near:
        if p[0] == 0:
            return p
        p += 1
    p = <const uint8_t *> memchr(p, 0, end - p)
    return end if p == NULL else p


cdef inline Fault check_cigar(const uint8_t *record, const uint8_t *cigar, int64_t count) noexcept nogil:
    """Check that operations are 0 to 8, and that a mapped read's CIGAR fits the sequence and ends within int32."""
    cdef int64_t i, bases = 0, end = load_i32(record + 8), l_seq = load_i32(record + 20)
    cdef bint mapped = not load_u16(record + 18) & 4
    cdef uint32_t packed, worst = 0
    for i in range(count):
        packed = load_u32(cigar + 4 * i)
        if packed & 15 > worst:
            worst = packed & 15
        bases += (packed >> 4) * (0x193 >> (packed & 15) & 1)  # bits 0 1 4 7 8: M I S = X
        end += (packed >> 4) * (0x18D >> (packed & 15) & 1)  # bits 0 2 3 7 8: M D N = X
    if worst > 8:
        return CIGAR_OPERATION
    if mapped and count and l_seq and bases != l_seq:
        return CIGAR_LENGTH
    return ALIGNMENT_END if mapped and end > INT32_MAX else NONE


cdef inline Fault check_tags(
    const uint8_t *p, const uint8_t *end, const uint8_t *available, const uint8_t **cg_tag
) noexcept nogil:
    """Check the tags in [p, end); bytes before `available` are in memory. Sets `cg_tag` to the first CG tag."""
    cdef const uint8_t *value
    cdef uint8_t kind
    cdef int64_t size
    while p < end:
        if end - p < 4:
            return TAG_LENGTH
        if available - p < 4:
            return INCOMPLETE
        if p[0] == c"C" and p[1] == c"G" and cg_tag[0] == NULL:
            cg_tag[0] = p
        kind = p[2]
        value = p + 3
        size = tag_width(kind)
        if size == 0:
            if kind == c"Z" or kind == c"H":
                p = terminator(value, available)
                if p == available:
                    return TAG_LENGTH if available == end else INCOMPLETE
                p += 1
                continue
            if kind != c"B":
                return TAG_TYPE
            if end - value < 5:
                return TAG_LENGTH
            if available - value < 5:
                return INCOMPLETE
            size = tag_width(value[0])
            if size == 0 or value[0] == c"A":
                return TAG_TYPE
            size = 5 + size * <int64_t> load_u32(value + 1)
        if size > end - value:
            return TAG_LENGTH
        p = value + size
        if p > available:
            return INCOMPLETE
    return NONE


cdef inline bint replaces_cigar(const uint8_t *cg_tag, const uint8_t *record, const uint8_t *cigar) noexcept nogil:
    """Whether a CG tag, already checked, holds the record's real CIGAR, by htslib's rule (bam_tag2cigar)."""
    cdef uint32_t count = load_u16(record + 16)
    cdef uint32_t first, real_count
    if count == 0 or load_i32(record + 4) < 0 or load_i32(record + 8) < 0:
        return False
    if cg_tag[2] != c"B" or not (cg_tag[3] == c"I" or cg_tag[3] == c"i"):
        return False
    first = load_u32(cigar)
    real_count = load_u32(cg_tag + 4)
    return first & 15 == 4 and first >> 4 == load_u32(record + 20) and count <= real_count < (1 << 29)


cdef inline Fault check_record(const uint8_t *p, int64_t available, int64_t n_ref) noexcept nogil:
    """Check the record at `p`, of which `available` bytes are in memory. A fault may be found before all are there."""
    cdef int64_t block_size, name, count, l_seq, tags
    cdef int32_t pos
    cdef const uint8_t *cg_tag = NULL
    cdef const uint8_t *cigar
    cdef const uint8_t *end
    cdef const uint8_t *nul
    cdef Fault fault
    if available < 4:
        return INCOMPLETE
    block_size = load_u32(p)
    if block_size < FIXED or block_size > INT32_MAX:
        return BLOCK_SIZE
    if available < 4 + FIXED:
        return INCOMPLETE
    name = p[12]
    count = load_u16(p + 16)
    l_seq = load_i32(p + 20)
    tags = FIXED + name + 4 * count + (l_seq + 1) // 2 + l_seq
    if name == 0 or l_seq < 0 or tags > block_size:
        return LENGTHS
    pos = load_i32(p + 8)
    if load_i32(p + 4) < -1 or load_i32(p + 4) >= n_ref:
        return REFERENCE
    if load_i32(p + 24) < -1 or load_i32(p + 24) >= n_ref:
        return NEXT_REFERENCE
    if pos < -1 or pos == INT32_MAX:
        return POSITION
    if load_i32(p + 28) < -1 or load_i32(p + 28) == INT32_MAX:
        return NEXT_POSITION
    if available < 4 + tags:
        return INCOMPLETE
    nul = <const uint8_t *> memchr(p + 4 + FIXED, 0, name)
    if nul != p + 4 + FIXED + name - 1:
        return NAME
    cigar = p + 4 + FIXED + name
    fault = check_cigar(p, cigar, count)
    if fault != NONE:
        return fault
    end = p + 4 + block_size
    fault = check_tags(p + 4 + tags, end, end if available >= 4 + block_size else p + available, &cg_tag)
    if fault == NONE and cg_tag != NULL and replaces_cigar(cg_tag, p, cigar):
        fault = check_cigar(p, cg_tag + 8, load_u32(cg_tag + 4))
    if fault == NONE and available < 4 + block_size:
        return INCOMPLETE
    return fault
