# Compiled with -O1: no run spends its time here.
"""The extremes of a row group's columns, for its zone map."""

from libc.stdint cimport int32_t, uint8_t, uint16_t


def extremes(const int32_t[::1] pos, const int32_t[::1] end, const uint16_t[::1] flag, const uint8_t[::1] mapq):
    """Returns `min_pos`, `max_pos`, `max_end`, `min_mapq`, `max_mapq`, `flags_any` and `flags_all` (see
    `codec.ZoneMap`) of n ≥ 1 records."""
    cdef int32_t min_pos = pos[0], max_pos = pos[0], max_end = end[0]
    cdef uint8_t min_mapq = mapq[0], max_mapq = mapq[0]
    cdef uint16_t flags_any = 0, flags_all = 0xFFFF
    cdef Py_ssize_t i
    with nogil:
        for i in range(pos.shape[0]):
            min_pos = min(min_pos, pos[i])
            max_pos = max(max_pos, pos[i])
            max_end = max(max_end, end[i])
            min_mapq = min(min_mapq, mapq[i])
            max_mapq = max(max_mapq, mapq[i])
            flags_any |= flag[i]
            flags_all &= flag[i]
    return min_pos, max_pos, max_end, min_mapq, max_mapq, flags_any, flags_all
