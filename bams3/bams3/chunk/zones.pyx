# Compiled with -O1: no run spends its time here.
"""Limits on the row groups of a chunk, which are checked on zone maps both from its footer and from the index."""

from libc.stdint cimport int64_t

from cpython.long cimport PyLong_AsLongLongAndOverflow

LAST = (1 << 31) - 1  # greater than every position
MAX_RECORDS = 1 << 16  # in a row group
MAX_BYTES = (1 << 25) + (1 << 31)  # bytes of the records of a row group: one more record may exceed 32 MiB
SHORTEST_RECORD = 36  # bytes

cdef enum:  # the fields of a zone map
    RECORDS, BYTES, MIN_POS, MAX_POS, MAX_END, MIN_MAPQ, MAX_MAPQ, FLAGS_ANY, FLAGS_ALL, HOT, COLD, FIELDS

cdef int64_t last = LAST, max_records = MAX_RECORDS, max_bytes = MAX_BYTES, shortest_record = SHORTEST_RECORD


cdef int64_t exact(value, str what) except? -1:
    """Convert an integer that fits in 64 bits. Raises ValueError for anything else."""
    cdef int overflow = 0
    cdef int64_t number
    if type(value) is not int:
        raise ValueError(what)
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        raise ValueError(what)
    return number


cdef int read(row, int64_t *zone) except -1:
    """Read the values of a zone map."""
    cdef Py_ssize_t i
    if not isinstance(row, (list, tuple)) or len(row) != FIELDS:
        raise ValueError("invalid numbers in a row group")
    for i in range(FIELDS):
        zone[i] = exact(row[i], "invalid numbers in a row group")
    return 0


cdef int check(const int64_t *zone, Py_ssize_t number, int64_t low, int64_t limit) except -1:
    """Raise ValueError unless row group `number` of a chunk can have this zone map; its positions are in [low, limit).
    """
    if not (
        0 < zone[RECORDS] <= max_records
        and shortest_record * zone[RECORDS] <= zone[BYTES] <= max_bytes
        and low <= zone[MIN_POS] <= zone[MAX_POS] < limit
        and zone[MAX_POS] < zone[MAX_END] <= last
        and 0 <= zone[MIN_MAPQ] <= zone[MAX_MAPQ] <= 255
        and 0 <= zone[FLAGS_ALL] <= zone[FLAGS_ANY] <= 0xFFFF
        and zone[FLAGS_ALL] & zone[FLAGS_ANY] == zone[FLAGS_ALL]
        and zone[HOT] >= 0 <= zone[COLD]
    ):
        raise ValueError(f"invalid numbers in row group {number}, or out of order")
    return 0


def check_joined(contigs, zones, int64_t reference_id, int64_t start, int64_t end, lengths):
    """Raise ValueError unless a chunk that contigs share can have row groups with these zone maps.

    There is a zone map for each contig in each row group. `contigs` has their reference ids, and `lengths` the lengths
    in bp. The window [start, end) is that of the first contig that may be in the chunk, `reference_id`.
    """
    cdef int64_t zone[<int> FIELDS]
    cdef int64_t contig, length, before = -1, low = -1
    cdef Py_ssize_t n = len(contigs), i, number = 0
    if not n == len(zones) == len(lengths) or not n:
        raise ValueError("invalid contigs")
    for i in range(n):
        contig = exact(contigs[i], "invalid contigs")
        read(zones[i], zone)
        if i == 0 and not zone[HOT]:
            raise ValueError("invalid contigs")
        if contig < before or contig < reference_id or contig < 0:
            raise ValueError("contigs out of order")
        if contig != before:
            length = exact(lengths[i], "a contig that is longer than the window")
            if not start == 0 <= length <= end:
                raise ValueError("a contig that is longer than the window")
            number, low = 0, -1
        elif not zone[HOT]:
            raise ValueError("a contig that is twice in a row group")
        check(zone, number, low, last)
        before, low, number = contig, zone[MAX_POS], number + 1


def check_zones(zones, int64_t reference_id, int64_t start, int64_t end, int64_t length):
    """Raise ValueError unless consecutive row groups of a chunk can have these zone maps (or lists of their values).

    The chunk is that of the window [start, end), 0-based, of a reference with `length` bp. A reference id of -1 means
    unplaced reads, in any order.
    """
    cdef int64_t zone[<int> FIELDS]
    cdef bint placed = reference_id >= 0
    cdef int64_t low = -1, limit = last
    cdef Py_ssize_t number = 0
    if not zones:
        raise ValueError("invalid numbers in a row group")
    if placed:
        low = start or -1  # records at -1 belong to the first window
        limit = end if end < length else last  # records past a contig's end belong to the last window
    for row in zones:
        read(row, zone)
        check(zone, number, low, limit)
        if placed:
            low = zone[MAX_POS]
        number += 1
