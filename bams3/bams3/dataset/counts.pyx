"""Record counts like those of samtools flagstat and idxstats, which are stored in manifests."""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memset

from bams3.bam.fields cimport DUP, MUNMAP, PAIRED, PROPER_PAIR, QCFAIL, READ1, READ2, SECONDARY, SUPPLEMENTARY, UNMAP, look_ahead
from bams3.bam.fields cimport record_flag, record_mapq, record_next_ref, record_ref

# Names and order are those of samtools flagstat -O json.
FLAGSTAT = (
    "total", "primary", "secondary", "supplementary", "duplicates", "primary duplicates", "mapped",
    "primary mapped", "paired in sequencing", "read1", "read2", "properly paired",
    "with itself and mate mapped", "singletons", "with mate mapped to a different chr",
    "with mate mapped to a different chr (mapQ >= 5)",
)

cdef enum:
    N_TOTAL, N_PRIMARY, N_SECONDARY, N_SUPPLEMENTARY, N_DUP, N_PRIMARY_DUP, N_MAPPED
    N_PRIMARY_MAPPED, N_PAIRED, N_READ1, N_READ2, N_PROPER_PAIR
    N_BOTH_MAPPED, N_SINGLETONS, N_OTHER_CHR
    N_OTHER_CHR_MAPQ5
    COUNTERS


def count(block):
    """Return the counts of a RecordBlock: ([QC-passed], [QC-failed]), each in the order of FLAGSTAT."""
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
            look_ahead(&data[0], &offsets[0], i, offsets.shape[0] - 1)
            r = &data[offsets[i]]
            flag = record_flag(r)
            c = &counters[(flag & QCFAIL) != 0][0]
            c[N_TOTAL] += 1
            c[N_MAPPED] += not flag & UNMAP
            c[N_DUP] += (flag & DUP) != 0
            if flag & SECONDARY:
                c[N_SECONDARY] += 1
            elif flag & SUPPLEMENTARY:
                c[N_SUPPLEMENTARY] += 1
            else:
                count_primary(c, r, flag)
    return [counters[0][i] for i in range(COUNTERS)], [counters[1][i] for i in range(COUNTERS)]


cdef inline void count_primary(int64_t *c, const uint8_t *r, uint16_t flag) noexcept nogil:
    c[N_PRIMARY] += 1
    c[N_PRIMARY_MAPPED] += not flag & UNMAP
    c[N_PRIMARY_DUP] += (flag & DUP) != 0
    if not flag & PAIRED:
        return
    c[N_PAIRED] += 1
    c[N_PROPER_PAIR] += flag & (PROPER_PAIR | UNMAP) == PROPER_PAIR
    c[N_READ1] += (flag & READ1) != 0
    c[N_READ2] += (flag & READ2) != 0
    c[N_SINGLETONS] += flag & (UNMAP | MUNMAP) == MUNMAP
    if flag & (UNMAP | MUNMAP) == 0:
        c[N_BOTH_MAPPED] += 1
        if record_next_ref(r) != record_ref(r):
            c[N_OTHER_CHR] += 1
            c[N_OTHER_CHR_MAPQ5] += record_mapq(r) >= 5
