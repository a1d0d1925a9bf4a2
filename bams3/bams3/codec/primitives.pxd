# The integer coding that streams share. Everything here is inline and nogil.
#
# "Short integers": a stream with one byte per value; 255 means that the value is the next 32-bit
# integer of the companion stream, whose name ends in ".long".

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

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


cdef inline bint get_short(Cursor *main, Cursor *escaped, uint32_t *value) noexcept nogil:
    """False if a stream ends too early."""
    if main.at >= main.end:
        return False
    value[0] = main.at[0]
    main.at += 1
    if value[0] == 255:
        if escaped.end - escaped.at < 4:
            return False
        value[0] = load_u32(escaped.at)
        escaped.at += 4
    return True


cdef inline int open_cursor(Cursor *cursor, const uint8_t[::1] stream) except -1:
    cursor.at = &stream[0] if stream.shape[0] else NULL
    cursor.end = cursor.at + stream.shape[0]
    return 0
