# The lengths that a CIGAR consumes, and its text. Everything here is inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from bams3.bam.fields cimport CIGAR_LETTERS, QUERY, REFERENCE, UNMAP, load_u32
from bams3.decimal cimport put_unsigned


cdef inline void spans(const uint8_t *operations, int64_t count, int64_t *query, int64_t *reference) noexcept nogil:
    """Count the bases of the read and of the reference that a CIGAR consumes."""
    cdef int64_t k
    cdef uint32_t operation
    query[0] = reference[0] = 0
    for k in range(count):
        operation = load_u32(operations + 4 * k)
        if (QUERY >> (operation & 15)) & 1:
            query[0] += operation >> 4
        if (REFERENCE >> (operation & 15)) & 1:
            reference[0] += operation >> 4


cdef inline int32_t endpos(int32_t pos, uint16_t flag, int64_t reference) noexcept nogil:
    """The end of a read as in htslib's bam_endpos: one that is unmapped or consumes no reference bases covers one
    base."""
    if flag & UNMAP or reference == 0:
        return pos + 1 if pos < 0x7FFFFFFF else pos
    return <int32_t> (pos + reference)


cdef inline uint8_t *put_cigar(uint8_t *out, const uint8_t *operations, int64_t count) noexcept nogil:
    """Write a CIGAR as text, `*` if there is none, and return its end. An operation takes up to ten bytes; up to seven
    bytes after the end may be overwritten."""
    cdef int64_t k
    cdef uint32_t operation
    if count == 0:
        out[0] = b"*"
        return out + 1
    for k in range(count):
        operation = load_u32(operations + 4 * k)
        out = put_unsigned(out, operation >> 4)
        out[0] = CIGAR_LETTERS[operation & 15]
        out += 1
    return out
