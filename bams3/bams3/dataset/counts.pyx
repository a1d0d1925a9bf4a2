"""Counts of records as samtools flagstat and idxstats make them, so that a manifest can answer for a file."""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memset

from bams3.bam.fields cimport record_flag, record_mapq, record_next_ref, record_ref

# samtools' names (flagstat -O json), in its order.
FLAGSTAT = (
    "total", "primary", "secondary", "supplementary", "duplicates", "primary duplicates", "mapped",
    "primary mapped", "paired in sequencing", "read1", "read2", "properly paired",
    "with itself and mate mapped", "singletons", "with mate mapped to a different chr",
    "with mate mapped to a different chr (mapQ >= 5)",
)

cdef enum:
    TOTAL, PRIMARY, SECONDARY, SUPPLEMENTARY, DUPLICATES, PRIMARY_DUPLICATES, MAPPED
    PRIMARY_MAPPED, PAIRED, READ1, READ2, PROPER
    BOTH_MAPPED, SINGLETONS, OTHER_CHR
    OTHER_CHR_MAPQ5
    COUNTERS


def count(block):
    """Counts of a RecordBlock: ([QC-passed], [QC-failed]), each in the order of FLAGSTAT."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t i
    cdef int64_t counters[2][<int> COUNTERS]
    cdef int64_t *c
    cdef const uint8_t *r
    cdef uint16_t flag
    memset(counters, 0, sizeof(counters))
    with nogil:
        for i in range(offsets.shape[0] - 1):
            r = &data[offsets[i]]
            flag = record_flag(r)
            c = &counters[(flag >> 9) & 1][0]
            c[TOTAL] += 1
            c[MAPPED] += not flag & 4
            c[DUPLICATES] += (flag & 0x400) != 0
            if flag & 0x100:
                c[SECONDARY] += 1
            elif flag & 0x800:
                c[SUPPLEMENTARY] += 1
            else:
                count_primary(c, r, flag)
    return [counters[0][i] for i in range(COUNTERS)], [counters[1][i] for i in range(COUNTERS)]


cdef inline void count_primary(int64_t *c, const uint8_t *r, uint16_t flag) noexcept nogil:
    c[PRIMARY] += 1
    c[PRIMARY_MAPPED] += not flag & 4
    c[PRIMARY_DUPLICATES] += (flag & 0x400) != 0
    if not flag & 1:
        return
    c[PAIRED] += 1
    c[PROPER] += flag & 6 == 2
    c[READ1] += (flag & 0x40) != 0
    c[READ2] += (flag & 0x80) != 0
    c[SINGLETONS] += flag & 12 == 8
    if flag & 12 == 0:
        c[BOTH_MAPPED] += 1
        if record_next_ref(r) != record_ref(r):
            c[OTHER_CHR] += 1
            c[OTHER_CHR_MAPQ5] += record_mapq(r) >= 5
