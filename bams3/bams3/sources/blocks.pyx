# Compiled with -O1: no run spends its time here.
"""Locations of BGZF blocks, found by a scan of their headers and footers alone."""

from cpython cimport array
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

from bams3.bam.fields cimport load_u16, load_u32

import array

cdef enum:
    HEADER = 18     # bytes of a block before its deflated data, if BC is its only extra field …
    FOOTER = 8      # … and after them
    LONGEST = 1 << 16

cdef array.array UINT32 = array.array("I")
# Magic and flags, and the extra field with BC only. Between them are the time and two bytes that are ignored.
cdef const uint8_t *MAGIC = b"\x1f\x8b\x08\x04"
cdef const uint8_t *EXTRA = b"\x06\x00BC\x02\x00"


cdef int64_t scan(
    const uint8_t *raw, int64_t at, int64_t size, int64_t stop, int64_t enough, int64_t most, uint32_t *found
) noexcept nogil:
    """Fill `found` with the size, CRC-32 and inflated length of each block; return their number."""
    cdef int64_t count = 0, length = 0, block
    while at < stop and at + HEADER <= size and length < enough and count < most:
        if memcmp(raw + at, MAGIC, 4) or memcmp(raw + at + 10, EXTRA, 6):
            break
        block = load_u16(raw + at + 16) + 1
        if block < HEADER + FOOTER or at + block > size or load_u32(raw + at + block - 4) > LONGEST:
            break
        found[3 * count] = <uint32_t> block
        found[3 * count + 1] = load_u32(raw + at + block - 8)
        found[3 * count + 2] = load_u32(raw + at + block - 4)
        length += found[3 * count + 2]
        at += block
        count += 1
    return count


def whole_blocks(const uint8_t[::1] raw not None, int64_t at, int64_t stop, int64_t enough, int64_t most):
    """Find the consecutive blocks in `raw` from byte `at` on.

    The scan ends at a block that is incomplete, that begins at or after byte `stop`, or whose header is not one that
    htslib writes; or when the blocks hold `enough` inflated bytes, or there are `most` of them.

    Returns
    -------
    array('I')
        For each block its size in bytes, CRC-32, and inflated length (65,536 bytes or less).
    """
    cdef int64_t size = raw.shape[0], count = 0
    cdef array.array found
    if at < 0 or most < 0:
        raise ValueError(f"invalid range of blocks: {most} from byte {at} on")
    most = min(most, max(size - at, 0) // (HEADER + FOOTER))
    found = array.clone(UINT32, 3 * most, zero=False)
    if most:
        with nogil:
            count = scan(&raw[0], at, size, stop, enough, most, <uint32_t *> found.data.as_uints)
    array.resize(found, 3 * count)
    return found
