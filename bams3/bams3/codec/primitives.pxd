# The integer coding that many streams use. Everything here is inline and nogil.
#
# "Short integers" are a stream with one byte per value; 255 means that the value is the next 32-bit integer in a second
# stream, whose name has the ending ".long".

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport malloc
from libc.string cimport memset

from bams3.buffer cimport Buffer
from bams3.bam.fields cimport load_u32


cdef inline uint32_t zigzag(int32_t value) noexcept nogil:
    return (<uint32_t> value << 1) ^ <uint32_t> (value >> 31)


cdef inline int32_t unzigzag(uint32_t value) noexcept nogil:
    return <int32_t> (value >> 1) ^ -<int32_t> (value & 1)


cdef inline int32_t difference(int32_t a, int32_t b) noexcept nogil:
    """a - b, wrapping around."""
    return <int32_t> (<uint32_t> a - <uint32_t> b)


cdef inline int32_t total(int32_t a, int32_t b) noexcept nogil:
    """a + b, wrapping around."""
    return <int32_t> (<uint32_t> a + <uint32_t> b)


cdef inline int put_short(Buffer main, Buffer escaped, uint32_t value) except -1 nogil:
    if value < 255:
        return main.put_u8(<uint8_t> value)
    main.put_u8(255)
    return escaped.put_u32(value)


cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end


cdef struct ShortCursor:
    Cursor main, escaped


cdef inline int open_cursor(Cursor *cursor, const uint8_t[::1] stream) except -1:
    cursor.at = &stream[0] if stream.shape[0] else NULL
    cursor.end = cursor.at + stream.shape[0]
    return 0


cdef inline int open_short(ShortCursor *cursor, const uint8_t[::1] stream, const uint8_t[::1] escaped) except -1:
    open_cursor(&cursor.main, stream)
    return open_cursor(&cursor.escaped, escaped)


cdef inline bint get_short(ShortCursor *cursor, uint32_t *value) noexcept nogil:
    """Read the next short integer; False if a stream ends too early."""
    if cursor.main.at >= cursor.main.end:
        return False
    value[0] = cursor.main.at[0]
    cursor.main.at += 1
    if value[0] == 255:
        if cursor.escaped.end - cursor.escaped.at < 4:
            return False
        value[0] = load_u32(cursor.escaped.at)
        cursor.escaped.at += 4
    return True


cdef inline bint has_more(const ShortCursor *cursor) noexcept nogil:
    return cursor.main.at < cursor.main.end or cursor.escaped.at < cursor.escaped.end


cdef inline int32_t *new_table(size_t entries, size_t *slots) noexcept nogil:
    """Allocate a hash table of indices with at least two slots per entry, all -1; NULL if there is no memory.

    ``slots``: set to the number of slots, a power of 2.
    """
    slots[0] = 16
    while slots[0] < 2 * entries:
        slots[0] *= 2
    cdef int32_t *table = <int32_t *> malloc(slots[0] * sizeof(int32_t))
    if table != NULL:
        memset(table, 255, slots[0] * sizeof(int32_t))
    return table
