# The order of samtools sort and samtools merge. Everything here is inline and nogil.

from libc.stdint cimport uint8_t, uint64_t

from bams3.bam.fields cimport REVERSE, load_u32, record_flag, record_pos


cdef inline uint64_t key_of(const uint8_t *record) noexcept nogil:
    """A key that sorts records: reference id (31 bits; -1 is the greatest), position (31 bits, from -1 on), strand."""
    return (
        (<uint64_t> load_u32(record + 4) & 0x7FFFFFFF) << 32
        | <uint64_t> (record_pos(record) + 1) << 1
        | (record_flag(record) & REVERSE) // REVERSE
    )
