"""A sequence of bases as streams.

``NAME`` has A C G T as 0 to 3, two bits each, starting at the lowest bits of a byte; the last byte is padded with
zeros. Any other base is stored there as 0 and also listed: ``NAME.other`` has the number of bases between it and the
previously listed one (short integers), and ``NAME.base`` the base itself (one byte).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport get_short, open_cursor, open_short, put_short


cdef class BaseWriter:
    """Accepts one base after another."""

    def __cinit__(self):
        self.packed, self.other, self.other_long, self.base = Buffer(), Buffer(), Buffer(width=4), Buffer()
        self.pending = 0
        self.count = self.last_other = 0

    cdef int put(self, uint8_t base) except -1 nogil:
        cdef uint8_t code = two_bits(base)
        if code > 3:
            put_short(self.other, self.other_long, <uint32_t> (self.count - self.last_other))
            self.last_other = self.count + 1
            self.base.put_u8(base)
            code = 0
        self.pending |= <uint64_t> code << (2 * (self.count & 31))
        self.count += 1
        if self.count & 31 == 0:
            self.packed.put_u64(self.pending)
            self.pending = 0
        return 0

    cdef dict streams(self, name):
        """The streams; no more bases can be added afterwards."""
        self.packed.put(&self.pending, ((self.count & 31) + 3) // 4)
        return {
            name: self.packed, f"{name}.other": self.other, f"{name}.other.long": self.other_long,
            f"{name}.base": self.base,
        }


cdef class BaseReader:
    """Returns one base after another."""

    def __init__(self, streams, name):
        cdef const uint8_t[::1] packed = streams[name]
        self.held = [streams[name], streams[f"{name}.other"], streams[f"{name}.other.long"], streams[f"{name}.base"]]
        self.packed = &packed[0] if packed.shape[0] else NULL
        self.size = 4 * packed.shape[0]
        self.at = 0
        open_short(&self.other, self.held[1], self.held[2])
        open_cursor(&self.base, self.held[3])
        self.next_other = 0
        self.skip_to_other()

    cdef void skip_to_other(self) noexcept nogil:
        """Find the position of the next listed base; if there is none, a position past all bases."""
        cdef uint32_t gap = 0
        if self.other.main.at == self.other.main.end:
            self.next_other = self.size
            return
        if not get_short(&self.other, &gap) or self.base.at >= self.base.end:
            self.size = 0  # the lists are inconsistent: no more bases are returned
            return
        self.next_other += gap

    cdef int get(self, uint8_t *base) noexcept nogil:
        """The next base; returns 0 if there is none, otherwise 1."""
        if self.at >= self.size:
            return 0
        base[0] = from_two_bits(self.packed[self.at >> 2] >> (2 * (self.at & 3)))
        if self.at == self.next_other:
            base[0] = self.base.at[0] & 15
            self.base.at += 1
            self.next_other += 1
            self.skip_to_other()
        self.at += 1
        return 1

    cdef bint ended(self) noexcept nogil:
        """Whether every base has been read, except the padding of the last byte."""
        return self.at <= self.size <= self.at + 3 and self.other.main.at == self.other.main.end and self.base.at == self.base.end
