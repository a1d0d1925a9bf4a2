# The fields of a BAM record (SAM specification, 4.2), read in place. Everything here is inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy


# FLAG bits under samtools' names; the same bits as in bam/flags.py.
cdef enum:
    PAIRED = 0x1
    PROPER_PAIR = 0x2
    UNMAP = 0x4
    MUNMAP = 0x8
    REVERSE = 0x10
    MREVERSE = 0x20
    READ1 = 0x40
    READ2 = 0x80
    SECONDARY = 0x100
    QCFAIL = 0x200
    DUP = 0x400
    SUPPLEMENTARY = 0x800


cdef extern from *:
    """
    #define BAMS3_BASES "=ACMGRSVTWYHKDBN"
    #define BAMS3_OPERATIONS "MIDNSHP=XB??????"
    """
    const char *BASE_LETTERS "BAMS3_BASES"  # by code
    const char *CIGAR_LETTERS "BAMS3_OPERATIONS"


# CIGAR operations, and sets of operations as bit masks.
cdef enum:
    INSERTION = 1
    DELETION = 2
    REF_SKIP = 3
    SOFT_CLIP = 4
    QUERY = 0b110010011      # operations that consume bases of the read
    REFERENCE = 0b110001101  # operations that consume positions of the reference
    MATCHES = 0b110000001    # operations that consume both


cdef inline bint is_match(uint32_t operation) noexcept nogil:
    """Whether an operation, or one with its length, is M, = or X."""
    return MATCHES >> (operation & 15) & 1


cdef inline uint16_t load_u16(const uint8_t *p) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, p, 2)
    return value


cdef inline uint32_t load_u32(const uint8_t *p) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, p, 4)
    return value


cdef inline int32_t load_i32(const uint8_t *p) noexcept nogil:
    cdef int32_t value
    memcpy(&value, p, 4)
    return value


# Fields of a record in a validated block; `r` points to the record's block_size.
cdef inline int32_t record_ref(const uint8_t *r) noexcept nogil: return load_i32(r + 4)
cdef inline int32_t record_pos(const uint8_t *r) noexcept nogil: return load_i32(r + 8)
cdef inline uint8_t record_name_length(const uint8_t *r) noexcept nogil: return r[12]
cdef inline uint8_t record_mapq(const uint8_t *r) noexcept nogil: return r[13]
cdef inline uint16_t record_bin(const uint8_t *r) noexcept nogil: return load_u16(r + 14)
cdef inline uint16_t record_cigar_count(const uint8_t *r) noexcept nogil: return load_u16(r + 16)
cdef inline uint16_t record_flag(const uint8_t *r) noexcept nogil: return load_u16(r + 18)
cdef inline int32_t record_l_seq(const uint8_t *r) noexcept nogil: return load_i32(r + 20)
cdef inline int32_t record_next_ref(const uint8_t *r) noexcept nogil: return load_i32(r + 24)
cdef inline int32_t record_next_pos(const uint8_t *r) noexcept nogil: return load_i32(r + 28)
cdef inline int32_t record_tlen(const uint8_t *r) noexcept nogil: return load_i32(r + 32)
cdef inline const uint8_t *record_name(const uint8_t *r) noexcept nogil: return r + 36
cdef inline const uint8_t *record_cigar(const uint8_t *r) noexcept nogil: return r + 36 + r[12]
cdef inline const uint8_t *record_seq(const uint8_t *r) noexcept nogil:
    return r + 36 + r[12] + 4 * <int> record_cigar_count(r)
cdef inline const uint8_t *record_qual(const uint8_t *r) noexcept nogil:
    return record_seq(r) + (<int64_t> record_l_seq(r) + 1) // 2
cdef inline const uint8_t *record_tags(const uint8_t *r) noexcept nogil:
    return record_qual(r) + record_l_seq(r)
cdef inline const uint8_t *record_end(const uint8_t *r) noexcept nogil:
    return r + 4 + load_u32(r)


cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *address) nogil


cdef inline void look_ahead(const uint8_t *data, const int64_t *offsets, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """Prefetch the start of the record eight places ahead: CPUs do not predict where it is. This is for loops that
    spend less time on a record than a cache miss takes."""
    if i + 8 < n:
        prefetch(data + offsets[i + 8])
        prefetch(data + offsets[i + 8] + 64)


cdef inline int tag_width(uint8_t kind) noexcept nogil:
    """Bytes per value of a tag type or B-array subtype; 0 for Z, H and B."""
    if kind == b"A" or kind == b"c" or kind == b"C":
        return 1
    if kind == b"s" or kind == b"S":
        return 2
    if kind == b"i" or kind == b"I" or kind == b"f":
        return 4
    return 0


cdef inline const uint8_t *next_tag(const uint8_t *p) noexcept nogil:
    """The end of the tag at ``p`` of a validated record."""
    cdef int width = tag_width(p[2])
    if width:
        return p + 3 + width
    if p[2] == b"B":
        return p + 8 + <int64_t> load_u32(p + 4) * tag_width(p[3])
    p += 3
    while p[0]:
        p += 1
    return p + 1


cdef inline const uint8_t *find_tag(const uint8_t *r, uint8_t first, uint8_t second) noexcept nogil:
    """The first tag named ``first``, ``second`` in a validated record (a pointer to the tag's name), or NULL."""
    cdef const uint8_t *p = record_tags(r)
    cdef const uint8_t *end = record_end(r)
    while p < end:
        if p[0] == first and p[1] == second:
            return p
        p = next_tag(p)
    return NULL


cdef inline const uint8_t *real_cigar(const uint8_t *r) noexcept nogil:
    """The tag CG if it has the CIGAR according to htslib's rules, otherwise NULL."""
    cdef const uint8_t *p
    cdef const uint8_t *end
    cdef uint32_t count = record_cigar_count(r)
    if count == 0 or record_ref(r) < 0 or record_pos(r) < 0:
        return NULL
    if load_u32(record_cigar(r)) != (<uint32_t> record_l_seq(r) << 4 | SOFT_CLIP):
        return NULL
    p, end = record_tags(r), record_end(r)
    while p < end:
        if p[0] == b"C" and p[1] == b"G":
            if p[2] == b"B" and (p[3] == b"I" or p[3] == b"i") and count <= load_u32(p + 4) < 1 << 29:
                return p
            return NULL
        p = next_tag(p)
    return NULL
