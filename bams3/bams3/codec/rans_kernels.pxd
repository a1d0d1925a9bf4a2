# The loops of rANS over interleaved lanes; the header describes them.

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "bams3/codec/rans_kernels.h" nogil:
    ctypedef struct Shape "RansShape":
        int lanes, order, bits, shift
        uint8_t first
    void rans_init()
    int rans_widest_tiles()
    uint8_t *rans_encode_lanes(
        const uint8_t *data, size_t n, const uint32_t *table, const Shape *shape, int tiles, uint32_t *states, uint8_t *at
    )
    int rans_decode_lanes(
        uint8_t *data, size_t n, const uint32_t *table, const Shape *shape, int tiles, uint32_t *states, const uint8_t *at,
        const uint8_t *end
    )
