# Bases as 4-bit codes, as in SEQ: "=ACMGRSVTWYHKDBN". Everything here is inline and nogil, except the classes for
# 2-bit streams at the end.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport Cursor, ShortCursor

cdef extern from *:
    """
    static const unsigned char BAMS3_TWO_BITS[16] = {4, 0, 1, 4, 2, 4, 4, 4, 3, 4, 4, 4, 4, 4, 4, 4};

    #ifdef __SSE2__
    #include <emmintrin.h>
    static inline int bams3_equal32(const unsigned char *a, const unsigned char *b) {
        const __m128i *x = (const __m128i *)a, *y = (const __m128i *)b;
        __m128i first = _mm_cmpeq_epi8(_mm_loadu_si128(x), _mm_loadu_si128(y));
        __m128i second = _mm_cmpeq_epi8(_mm_loadu_si128(x + 1), _mm_loadu_si128(y + 1));
        return _mm_movemask_epi8(_mm_and_si128(first, second)) == 0xFFFF;
    }
    #else
    #include <string.h>
    static inline int bams3_equal32(const unsigned char *a, const unsigned char *b) { return memcmp(a, b, 32) == 0; }
    #endif
    """
    const uint8_t[16] TWO_BITS "BAMS3_TWO_BITS"
    int trailing_zeros "__builtin_ctzll" (uint64_t value) nogil
    bint equal32 "bams3_equal32" (const uint8_t *a, const uint8_t *b) nogil  # inlined, unlike a call of memcmp

cdef enum:
    PADDING = 8  # bytes after expanded bases that `first_difference` may read


cdef inline uint8_t two_bits(uint8_t base) noexcept nogil:
    """0 to 3 for A, C, G, T; 4 for any other base."""
    return TWO_BITS[base & 15]


cdef inline uint8_t from_two_bits(uint8_t code) noexcept nogil:
    return <uint8_t> (1 << (code & 3))


cdef inline void expand(const uint8_t *packed, int64_t count, uint8_t *bases) noexcept nogil:
    """Unpack bases, two per byte, to one per byte; may write one more than ``count``."""
    cdef int64_t i
    for i in range((count + 1) // 2):
        bases[2 * i] = packed[i] >> 4
        bases[2 * i + 1] = packed[i] & 15


cdef inline void pack(const uint8_t *bases, int64_t count, uint8_t *packed) noexcept nogil:
    """The inverse of `expand`; the low half of the last byte of an odd count is 0."""
    cdef int64_t i
    for i in range(count // 2):
        packed[i] = <uint8_t> (bases[2 * i] << 4 | bases[2 * i + 1])
    if count & 1:
        packed[count // 2] = <uint8_t> (bases[count - 1] << 4)


cdef inline int64_t longest_of(const int32_t[::1] l_seq) noexcept nogil:
    """The largest number of bases of any read; 0 if there are no reads."""
    cdef int32_t most = 0
    cdef Py_ssize_t i
    for i in range(l_seq.shape[0]):
        most = max(most, l_seq[i])
    return most


cdef inline int64_t first_difference(const uint8_t *a, const uint8_t *b, int64_t at, int64_t end) noexcept nogil:
    """The first index in [at, end) at which two arrays differ, or ``end``. Both need PADDING more readable bytes."""
    cdef uint64_t left = 0, right = 0
    while at + 32 <= end and equal32(a + at, b + at):
        at += 32
    while at < end:
        memcpy(&left, a + at, 8)
        memcpy(&right, b + at, 8)
        if left != right:
            at += trailing_zeros(left ^ right) >> 3
            return at if at < end else end
        at += 8
    return end


# A sequence of bases as streams: A, C, G and T take two bits each; other bases are listed separately.

cdef class BaseWriter:
    cdef Buffer packed, other, other_long, base
    cdef uint64_t pending
    cdef int64_t count, last_other

    cdef int put(self, uint8_t base) except -1 nogil
    cdef dict streams(self, name)


cdef class BaseReader:
    cdef object held
    cdef const uint8_t *packed
    cdef int64_t size, at, next_other
    cdef ShortCursor other
    cdef Cursor base

    cdef int get(self, uint8_t *base) noexcept nogil
    cdef bint ended(self) noexcept nogil
    cdef void skip_to_other(self) noexcept nogil
