# How often each byte occurs, and each pair of consecutive bytes within the lanes of rANS.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from bams3.codec.rans_kernels cimport Shape


cdef inline void count_pairs(const uint8_t *data, size_t n, const Shape *shape, uint32_t *counts) noexcept nogil:
    """Count how often each symbol follows each other symbol: counts[context << shift | symbol]. Both halves of the data
    are counted at the same time, because incrementing the same counter twice in a row is slow."""
    cdef size_t size = <size_t> 1 << (2 * shape.shift), k, i, half = n // 2
    cdef int shift = shape.shift, lane
    cdef uint32_t *second = counts + size
    cdef size_t steps = n // shape.lanes
    for i in range(1, half):
        counts[<uint32_t> data[i - 1] << shift | data[i]] += 1
        second[<uint32_t> data[half + i - 1] << shift | data[half + i]] += 1
    for i in range(max(2 * half, <size_t> 1), n):
        second[<uint32_t> data[i - 1] << shift | data[i]] += 1
    if half:
        counts[<uint32_t> data[half - 1] << shift | data[half]] += 1
    for k in range(size):
        counts[k] += second[k]
    counts[<uint32_t> shape.first << shift | data[0]] += 1
    for lane in range(1, shape.lanes):
        i = lane * steps
        counts[<uint32_t> data[i - 1] << shift | data[i]] -= 1
        counts[<uint32_t> shape.first << shift | data[i]] += 1


cdef inline void count_bytes(const uint8_t *data, size_t n, uint32_t *counts) noexcept nogil:
    cdef uint32_t some[4][256]
    cdef size_t i, quarter = n // 4
    cdef int k
    memset(some, 0, sizeof(some))
    for i in range(quarter):
        some[0][data[i]] += 1
        some[1][data[quarter + i]] += 1
        some[2][data[2 * quarter + i]] += 1
        some[3][data[3 * quarter + i]] += 1
    for i in range(4 * quarter, n):
        some[0][data[i]] += 1
    for k in range(256):
        counts[k] = some[0][k] + some[1][k] + some[2][k] + some[3][k]
