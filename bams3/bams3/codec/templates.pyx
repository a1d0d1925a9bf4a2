"""Templates: which records of a row group have the same name.

``rank`` says which earlier record of the row group has the same name, as short integers. Records whose name will come
again wait in a list, in the order of the records. 0: the record is the first of its name, and waits. 1: the record is
the only one of its name. k > 1: the record has the name of element (k - 2) // 2 of the list, which no longer waits; if
k is odd, this record now waits. Insert sizes vary little, so most mates are among the records that have waited longest.
Earlier versions have ``link`` instead: the distance from the previous record of the name, or 0 if there is none, as
short integers.

Border records are those whose template may have records in other row groups. ``border`` has the distance of each from
the previous one (the first: from record 0), as short integers; ``border.hash`` has a hash of its name, u64. So depth
can join mates across row groups without reading names. If the names take fewer bytes than the hashes, ``border.hash``
is omitted, and the hashes are computed from the names.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memmove

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport ShortCursor, get_short, has_more, new_table, open_short, put_short
from bams3.bam.fields cimport PROPER_PAIR, SUPPLEMENTARY, look_ahead, prefetch
from bams3.bam.fields cimport (
    record_flag, record_name, record_name_length, record_next_pos, record_next_ref, record_pos,
    record_ref,
)

from bams3.errors import FormatError

cdef array.array INT32 = new_array("i")
cdef array.array UINT32 = new_array("I")
cdef array.array UINT64 = new_array("Q")

cdef enum:
    AHEAD = 16   # how many records ahead data is prefetched
    FEW = 8      # elements of the list that move without a call
    NEAR = 1024  # bases; the first mate of a name is a border if it is closer to the row group's first record


cdef inline uint64_t hash_name(const uint8_t *name, int length) noexcept nogil:
    """64-bit hash of a name (without its NUL): docs/format.md, "Name hash"."""
    cdef uint64_t h = <uint64_t> 0x9E3779B97F4A7C15 ^ <uint64_t> length
    cdef uint64_t word
    cdef bint many = length > 8
    while length > 0:
        if length >= 8:
            memcpy(&word, name, 8)
        elif many:  # read the last eight bytes and remove those already hashed: loading a word stored bytewise is slow
            memcpy(&word, name + length - 8, 8)
            word >>= 8 * (8 - length)
        else:
            word = 0
            memcpy(&word, name, length)
        h = (h ^ word) * <uint64_t> 0xFF51AFD7ED558CCD
        h ^= h >> 32
        name += 8
        length -= 8
    h *= <uint64_t> 0xC4CEB9FE1A85EC53
    return h ^ (h >> 29)


cdef inline uint64_t hash_of(const uint8_t *r) noexcept nogil:
    return hash_name(record_name(r), record_name_length(r) - 1)


cdef inline bint is_mate(const uint8_t *r) noexcept nogil:
    """Whether overlap correction considers the record: it is in a proper pair, and not supplementary."""
    return record_flag(r) & (PROPER_PAIR | SUPPLEMENTARY) == PROPER_PAIR


cdef bint may_cross(
    const uint8_t *r, bint first, bint last, int64_t low, int64_t high, int32_t end
) noexcept nogil:
    """Whether this mate can overlap with one in another row group, according to mosdepth's rules.

    ``first``, ``last``: whether it is the first or the last mate of its name in this row group. ``low``, ``high``: POS
    of the row group's first and last record. If PNEXT says that the mate is in another row group, it does not matter
    whether this one has other records of the name: a filter may drop them (secondary alignments in particular).
    """
    cdef bint together = record_next_ref(r) == record_ref(r)
    cdef int32_t pos = record_pos(r), next_pos = record_next_pos(r)
    if together and pos <= next_pos < end and (last or next_pos >= high):
        return True
    if together and next_pos <= low:
        return True
    return first and (pos < low + NEAR or not together)


cdef void find_borders(
    const uint8_t[::1] data, const int64_t[::1] offsets, const int32_t[::1] previous, const int32_t[::1] end,
    uint8_t *is_border,
) noexcept nogil:
    """Set ``is_border[i]`` to 1 for the records whose template may have mates in other row groups.

    ``is_border`` must be all 0. During the search, it is not 0 for mates, and its bits mark the first mate (2) and the
    last mate (4) of a name.
    """
    cdef Py_ssize_t n = previous.shape[0], i
    cdef int64_t low = record_pos(&data[offsets[0]]), high = record_pos(&data[offsets[n - 1]])
    cdef int32_t j
    for i in range(n):
        if not is_mate(&data[offsets[i]]):
            continue
        j = previous[i]
        while j >= 0 and not is_border[j]:
            j = previous[j]
        is_border[i] = 6
        if j >= 0:
            is_border[i] = 4
            is_border[j] &= 2
            is_border[j] |= 8
    for i in range(n):
        is_border[i] = is_border[i] != 0 and may_cross(
            &data[offsets[i]], is_border[i] & 2, is_border[i] & 4, low, high, end[i]
        )


cdef struct Waiting:
    # The records that wait because their name comes again, in order: records[first] … records[last - 1].
    int32_t *records
    Py_ssize_t first, last


cdef inline int32_t leave(Waiting *waiting, Py_ssize_t rank) noexcept nogil:
    """Remove and return a record of the list; the shorter side of the list moves."""
    cdef int32_t *at = waiting.records + waiting.first + rank
    cdef int32_t record = at[0]
    cdef int32_t few[FEW]
    cdef Py_ssize_t after = waiting.last - waiting.first - rank - 1
    if rank <= FEW and rank <= after and waiting.first + rank >= FEW:  # as below; what lies before the list moves, too
        memcpy(few, at - FEW, sizeof(few))
        memcpy(at - FEW + 1, few, sizeof(few))
        waiting.first += 1
    elif rank <= after:
        memmove(at - rank + 1, at - rank, rank * sizeof(int32_t))
        waiting.first += 1
    else:
        memmove(at, at + 1, after * sizeof(int32_t))
        waiting.last -= 1
    return record


cdef inline Py_ssize_t rank_of(const Waiting *waiting, int32_t record) noexcept nogil:
    """The index of a record in the list, which must have it."""
    cdef Py_ssize_t low = waiting.first, high = waiting.last - 1, middle
    while low < high:
        middle = (low + high) // 2
        if waiting.records[middle] < record:
            low = middle + 1
        else:
            high = middle
    return low - waiting.first


cdef int put_ranks(const int32_t[::1] previous, Buffer main, Buffer escaped) except -1:
    """Write the stream ``rank``."""
    cdef Py_ssize_t n = previous.shape[0], i, rank
    cdef uint8_t *comes_again = <uint8_t *> calloc(n + 1, 1)
    cdef Waiting waiting = Waiting(<int32_t *> malloc((n + 1) * sizeof(int32_t)), 0, 0)
    try:
        if comes_again == NULL or waiting.records == NULL:
            raise MemoryError("not enough memory for the names of a row group")
        with nogil:
            for i in range(n):
                if previous[i] >= 0:
                    comes_again[previous[i]] = 1
            for i in range(n):
                if previous[i] < 0:
                    put_short(main, escaped, 1 - comes_again[i])
                else:
                    rank = rank_of(&waiting, previous[i])
                    leave(&waiting, rank)
                    put_short(main, escaped, <uint32_t> (2 + 2 * rank + comes_again[i]))
                waiting.records[waiting.last] = <int32_t> i
                waiting.last += comes_again[i]
    finally:
        free(comes_again)
        free(waiting.records)
    return 0


def encode(block, const int32_t[::1] end):
    """Streams of a block, and ``previous``: array('i'), the index of the previous record of the name, or -1."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t n = offsets.shape[0] - 1, i, last = 0
    cdef Buffer rank = Buffer(n), rank_long = Buffer(width=4), border = Buffer(), border_long = Buffer(width=4)
    cdef Buffer border_hash = Buffer(width=8)
    cdef array.array previous_array = array.clone(INT32, n, False)
    cdef int32_t[::1] previous = previous_array
    cdef size_t slots, slot
    cdef int32_t *table = new_table(n, &slots)
    cdef uint64_t *hashes = <uint64_t *> malloc((n + 1) * sizeof(uint64_t))
    cdef uint8_t *is_border = <uint8_t *> calloc(n + 1, 1)
    cdef const uint8_t *r
    cdef const uint8_t *other
    cdef int length
    cdef int32_t known
    if table == NULL or hashes == NULL or is_border == NULL:
        free(table)
        free(hashes)
        free(is_border)
        raise MemoryError("not enough memory for the names of a row group")
    try:
        with nogil:
            for i in range(min(n, AHEAD)):
                hashes[i] = hash_of(&data[offsets[i]])
            for i in range(n):
                if i + AHEAD < n:  # prefetch
                    look_ahead(&data[0], &offsets[0], i + AHEAD, n)
                    hashes[i + AHEAD] = hash_of(&data[offsets[i + AHEAD]])
                    prefetch(&table[hashes[i + AHEAD] & (slots - 1)])
                    known = table[hashes[i + AHEAD // 2] & (slots - 1)]
                    prefetch(&data[offsets[max(known, 0)]] + 32)
                r = &data[offsets[i]]
                length = record_name_length(r) - 1
                slot = hashes[i] & (slots - 1)
                previous[i] = -1
                while table[slot] >= 0:
                    other = &data[offsets[table[slot]]]
                    if (
                        hashes[table[slot]] == hashes[i] and record_name_length(other) == length + 1
                        and memcmp(record_name(other), record_name(r), length) == 0
                    ):
                        previous[i] = table[slot]
                        break
                    slot = (slot + 1) & (slots - 1)
                table[slot] = <int32_t> i
            if n and record_ref(&data[offsets[0]]) >= 0:
                find_borders(data, offsets, previous, end, is_border)
            for i in range(n):
                if is_border[i]:
                    put_short(border, border_long, <uint32_t> (i - last))
                    last = i
                    border_hash.put_u64(hashes[i])
    finally:
        free(table)
        free(hashes)
        free(is_border)
    put_ranks(previous, rank, rank_long)
    streams = {
        "rank": rank, "rank.long": rank_long, "border": border, "border.long": border_long, "border.hash": border_hash,
    }
    return streams, previous_array


def decode(const uint8_t[::1] stream, const uint8_t[::1] escaped, Py_ssize_t n):
    """Decode ranks: array('i') of n, the index of the previous record of the name, or -1."""
    cdef array.array previous = array.clone(INT32, n, False), room = array.clone(INT32, n + 1, False)
    cdef int32_t[::1] out = previous
    cdef Waiting waiting = Waiting(<int32_t *> room.data.as_ints, 0, 0)
    cdef ShortCursor cursor
    cdef Py_ssize_t i
    cdef uint32_t value = 0
    cdef bint whole = True
    open_short(&cursor, stream, escaped)
    with nogil:
        for i in range(n):
            if not get_short(&cursor, &value) or (value > 1 and (value - 2) // 2 >= waiting.last - waiting.first):
                whole = False
                break
            out[i] = leave(&waiting, (value - 2) // 2) if value > 1 else -1
            waiting.records[waiting.last] = <int32_t> i
            waiting.last += (value & 1) ^ (value < 2)
    if not whole or waiting.first != waiting.last:
        raise FormatError("stream 'rank' does not match the row group's record count, or refers to no record")
    return previous


def decode_links(const uint8_t[::1] stream, const uint8_t[::1] escaped, Py_ssize_t n):
    """Decode the links of earlier versions; returns the same as `decode`."""
    cdef array.array previous = array.clone(INT32, n, False)
    cdef int32_t[::1] out = previous
    cdef ShortCursor cursor
    cdef Py_ssize_t i
    cdef uint32_t distance = 0
    cdef bint whole = True
    open_short(&cursor, stream, escaped)
    with nogil:
        for i in range(n):
            if not get_short(&cursor, &distance) or distance > i:
                whole = False
                break
            out[i] = <int32_t> (i - distance) if distance else -1
    if not whole:
        raise FormatError("stream 'link' does not match the row group's record count")
    return previous


def decode_borders(const uint8_t[::1] stream, const uint8_t[::1] escaped, Py_ssize_t n):
    """The indices of the border records among n records: array('I'), ascending."""
    cdef Py_ssize_t count = stream.shape[0], k
    cdef array.array index = array.clone(UINT32, count, False)
    cdef uint32_t[::1] out = index
    cdef ShortCursor cursor
    cdef uint32_t distance = 0
    cdef uint64_t at = 0
    cdef bint whole = True
    open_short(&cursor, stream, escaped)
    with nogil:
        for k in range(count):
            whole = get_short(&cursor, &distance) and (distance > 0 or k == 0)
            at += distance
            if not whole or at >= <uint64_t> n:
                whole = False
                break
            out[k] = <uint32_t> at
    if not whole or has_more(&cursor):
        raise FormatError("the 'border' streams are inconsistent or do not match the row group's record count")
    return index


def decode_hashes(const uint8_t[::1] stream, Py_ssize_t count):
    """The name hashes of ``count`` border records: array('Q')."""
    cdef array.array hashes = array.clone(UINT64, count, False)
    if stream.shape[0] != 8 * count:
        raise FormatError("stream 'border.hash' does not match stream 'border'")
    if count:
        memcpy(hashes.data.as_voidptr, &stream[0], 8 * count)
    return hashes


def hash_names(const uint8_t[::1] names, const int64_t[::1] offsets, const uint32_t[::1] index):
    """The hashes of the names of some records: array('Q'). ``index`` has their indices, as `decode_borders` returns
    them."""
    cdef array.array hashes = array.clone(UINT64, index.shape[0], False)
    cdef uint64_t[::1] out = hashes
    cdef const uint8_t *start = &names[0] if names.shape[0] else NULL
    cdef Py_ssize_t k
    cdef int64_t at
    with nogil:
        for k in range(index.shape[0]):
            at = offsets[index[k]]
            out[k] = hash_name(start + at, <int> (offsets[index[k] + 1] - at))
    return hashes
