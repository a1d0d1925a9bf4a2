# Compiled with -O1: no run spends its time here.
"""Where tiles of 2^14 bp begin in the records of a row group, so that a BAM index can point into the row group.

Tile t is the positions [t << 14, (t + 1) << 14) of a contig, 0-based, like an entry of a BAI's linear index.
docs/format.md, "Tiles", says which tiles of a row group are listed. A list has three numbers for each: the tile `t`,
the offset of the first record that starts at or after the tile's start (the end of the records if there is none), and
the offset of the first record that ends after the tile's start. Offsets are in bytes of the row group's records in BAM
encoding.
"""

from cpython cimport array
import array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from bams3.bam.cigar cimport endpos, spans
from bams3.bam.fields cimport record_flag, record_pos, record_ref
from bams3.codec.cigars cimport resolve

TILE_SHIFT = SHIFT
LEAST_BYTES = 1 << 18  # least bytes of records between the starts of two listed tiles

cdef array.array INT32 = array.array("i"), UINT32 = array.array("I"), INT64 = array.array("q")


cdef inline int64_t end_of(const uint8_t *r) noexcept nogil:
    """The end of a record, exclusive, as in htslib's bam_endpos."""
    cdef const uint8_t *operations
    cdef int64_t count, query, reference
    resolve(r, &operations, &count)
    spans(operations, count, &query, &reference)
    return endpos(record_pos(r), record_flag(r), reference)


cdef tuple places_of(block):
    """POS and ends (exclusive) of records, array('i') each."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    cdef array.array pos = array.clone(INT32, n, zero=False), ends = array.clone(INT32, n, zero=False)
    cdef int32_t *starts = <int32_t *> pos.data.as_ints
    cdef int32_t *out = <int32_t *> ends.data.as_ints
    with nogil:
        for i in range(n):
            starts[i], out[i] = record_pos(&data[offsets[i]]), <int32_t> end_of(&data[offsets[i]])
    return pos, ends


def tiles_of(block, places=None):
    """List the tiles of a row group whose records are on one contig: array('I'). It is empty for unplaced reads.

    `places` is a pair of POS and ends of its records, array('i') each, if they are known.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef const int32_t[::1] pos, ends
    cdef Py_ssize_t n = offsets.shape[0] - 1, i, listed = 0
    cdef int64_t first, last, starts, reached, at, before = 0, least = LEAST_BYTES
    cdef uint32_t *reach
    cdef array.array found
    cdef uint32_t *out
    if n < 1 or offsets[n] - offsets[0] < least or record_ref(&data[offsets[0]]) < 0:
        return array.clone(UINT32, 0, zero=False)
    pos, ends = places_of(block) if places is None else places
    if not n == pos.shape[0] == ends.shape[0]:
        raise ValueError("as many places as records are needed")
    first, last = max(pos[0], 0) >> SHIFT, (max(pos[n - 1], 0) >> SHIFT) + 1  # tiles that records may reach
    if last <= first:  # they are not sorted
        return array.clone(UINT32, 0, zero=False)
    found = array.clone(UINT32, COLUMNS * ((offsets[n] - offsets[0]) // least + 1), zero=False)
    out = found.data.as_uints
    reach = <uint32_t *> malloc((last - first) * sizeof(uint32_t))
    if reach == NULL:
        raise MemoryError("not enough memory for the tiles of a row group")
    starts = reached = first + 1
    with nogil:
        for i in range(n):
            at = offsets[i] - offsets[0]
            while reached <= last and reached << SHIFT < ends[i]:
                reach[reached - first - 1] = <uint32_t> at
                reached += 1
            while starts <= last and starts << SHIFT <= pos[i] and starts < reached:
                if at - before >= least:
                    out[listed], out[listed + 1] = <uint32_t> starts, <uint32_t> at
                    out[listed + 2] = reach[starts - first - 1]
                    listed, before = listed + COLUMNS, at
                starts += 1
        at = offsets[n] - offsets[0]
        if starts == last < reached and at - before >= least:
            out[listed], out[listed + 1], out[listed + 2] = <uint32_t> last, <uint32_t> at, reach[last - first - 1]
            listed += COLUMNS
    free(reach)
    array.resize(found, listed)
    return found


def packed(lists, firsts):
    """Pack lists of tiles, one for each row group, in four columns of integers.

    `firsts` has the tile in which each row group begins. docs/format.md describes the columns, and what `unpacked`
    checks.
    """
    counts, tiles, starts, backs = [], [], [], []
    for listed, first in zip(lists, firsts, strict=True):
        counts.append(len(listed) // COLUMNS)
        start = 0
        for i in range(0, len(listed), COLUMNS):
            tiles.append(listed[i] - first)
            starts.append(listed[i + 1] - start)
            backs.append(listed[i + 1] - listed[i + 2])
            first, start = listed[i], listed[i + 1]
    return counts, tiles, starts, backs


def unpacked(counts, tiles, starts, backs, firsts, lasts, sizes):
    """Unpack lists of tiles.

    Parameters
    ----------
    counts, tiles, starts, backs
        The columns that `packed` returned.
    firsts, lasts
        The tiles in which the first and the last record of each row group start. The latter is −2 if no tiles may be
        listed.
    sizes
        The bytes of each row group's records.

    Returns
    -------
    tuple of array
        All lists, concatenated, array('I'), and where each of them begins, followed by the end, array('q').

    Raises
    ------
    ValueError
        If row groups of this kind cannot have these tiles.
    """
    cdef const int64_t[::1] numbers = array.array("q", counts), steps = array.array("q", tiles)
    cdef const int64_t[::1] lengths = array.array("q", starts), back = array.array("q", backs)
    cdef const int64_t[::1] first = firsts, last = lasts, size = sizes
    cdef Py_ssize_t n = numbers.shape[0], total = steps.shape[0], i, k = 0, end
    cdef array.array found = array.clone(UINT32, COLUMNS * total, zero=False)
    cdef array.array places = array.clone(INT64, n + 1, zero=False)
    cdef uint32_t *out = found.data.as_uints
    cdef int64_t *place = <int64_t *> places.data.as_longlongs
    cdef int64_t tile, start, reach, before, least = LEAST_BYTES
    cdef bint valid = True
    if not n == first.shape[0] == last.shape[0] == size.shape[0] or not total == lengths.shape[0] == back.shape[0]:
        raise ValueError("tiles that do not add up to the row groups")
    with nogil:
        for i in range(n):
            place[i] = COLUMNS * k
            if not 0 <= numbers[i] <= total - k:
                valid = False
                break
            end, tile, start, before = k + numbers[i], first[i], 0, 0
            while k < end:
                if not (0 < steps[k] <= last[i] + 1 - tile and least <= lengths[k] <= size[i] - start):
                    valid = False
                    break
                tile, start = tile + steps[k], start + lengths[k]
                reach = start - back[k] if 0 <= back[k] <= start else -1
                if not before <= reach < size[i] or (start == size[i]) != (tile > last[i]):
                    valid = False
                    break
                out[COLUMNS * k], out[COLUMNS * k + 1] = <uint32_t> tile, <uint32_t> start
                out[COLUMNS * k + 2] = <uint32_t> reach
                before, k = reach, k + 1
            if not valid:
                break
        place[n] = COLUMNS * k
    if not valid or k != total:
        raise ValueError("tiles that these row groups can't have")
    return found, places
