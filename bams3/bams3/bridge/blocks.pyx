# Compiled with -O1: no run spends its time here.
"""Stored BGZF: data in blocks that are not compressed, so that every offset follows from the length of the data.

Data that is stored together ends at the end of a page. The kernel reads files by pages, so if two row groups shared a
page, reading the second would also decode the first. The kernel also reads ahead, from the header into what follows.
Therefore the data after the header can be stored *apart*: its first bytes do not depend on the data then.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

cdef extern from "bams3/crc32.h" nogil:
    void crc_init()
    uint32_t crc_after(uint32_t crc, const uint8_t *p, size_t size)

crc_init()

cdef enum:
    PAGE_ = 4096
    MOST_ = 45000
    AROUND_ = 31
    LEAD_ = 61440
    FEW_ = 4000
    STEP = MOST_ + AROUND_
    FOOTER = 8
    EMPTY = 5   # bytes of a deflate block without data
    MANY = 4096 # empty deflate blocks that are written at a time
    FOR_EACH = 819  # this many empty deflate blocks fill a page except for one byte

PAGE = PAGE_
MOST = MOST_
"""Most bytes of data in a block, which then stays below 64 KiB even with up to `PAGE` − 1 empty deflate blocks."""
AROUND = AROUND_
"""Bytes of a block in addition to its data: 18 of the BGZF header, 5 of the deflate block, 8 of the footer."""
LEAD = LEAD_
"""Bytes of empty deflate blocks before data that is stored apart. Linux first reads a page and this many bytes."""
FEW = FEW_
"""Bytes of data in a block that begins with LEAD; it has no room for more."""

cdef bytes _HEADER = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"  # beginning of a BGZF block, before its length
cdef bytes _EMPTIES = b"\0\0\0\xff\xff" * MANY
cdef const uint8_t *HEADER = _HEADER
cdef const uint8_t *EMPTIES = _EMPTIES
cdef const uint8_t *LAST = b"\1\0\0\xff\xff"  # an empty deflate block that is the last one


cdef inline int64_t around(int64_t size, bint apart) noexcept nogil:
    """Bytes in addition to the data, without empty deflate blocks at the end."""
    if apart and size > FEW_:
        return LEAD_ + AROUND_ * (1 + (size - FEW_ + MOST_ - 1) // MOST_)
    return AROUND_ * ((size + MOST_ - 1) // MOST_)


cdef inline int64_t empty_of(int64_t size, bint apart) noexcept nogil:
    """The number of empty deflate blocks with which the last block ends at the end of a page."""
    return (size + around(size, apart)) % PAGE_ * FOR_EACH % PAGE_


def stored_size(int64_t size, *, bint apart=False):
    """Return the length in bytes of the stored blocks of `size` bytes of data."""
    return size + around(size, apart) + EMPTY * empty_of(size, apart)


def lead_of(int64_t size):
    """The first bytes of `size` bytes of data that is stored apart, as far as they do not depend on the data."""
    return _LEAD if size > FEW_ else b""


cdef struct Out:
    uint8_t *at
    int64_t skipped  # bytes that are still to be skipped
    int64_t left     # bytes that are to be written after them


cdef inline void put(Out *out, const uint8_t *data, int64_t size) noexcept nogil:
    if out.skipped >= size:
        out.skipped -= size
        return
    size = min(size - out.skipped, out.left)
    memcpy(out.at, data + out.skipped, size)
    out.skipped = 0
    out.at += size
    out.left -= size


cdef inline void put_u16(Out *out, uint32_t value) noexcept nogil:
    cdef uint8_t *two = [value & 255, value >> 8 & 255]
    put(out, two, 2)


cdef void put_empty(Out *out, int64_t count) noexcept nogil:
    while count > 0:
        put(out, EMPTIES, EMPTY * min(count, MANY))
        count -= MANY


cdef void put_block(Out *out, const uint8_t *data, int64_t size, int64_t lead, int64_t empty) noexcept nogil:
    """Write a block. `lead` and `empty` are the numbers of empty deflate blocks before and after the data. The data
    comes first where programs look at it to identify the format of a file."""
    cdef uint32_t crc
    put(out, HEADER, 16)
    put_u16(out, <uint32_t> (size + EMPTY * (lead + empty) + AROUND_ - 1))
    put_empty(out, lead)
    put(out, EMPTIES if empty else LAST, 1)
    put_u16(out, <uint32_t> size)
    put_u16(out, <uint32_t> ~size)
    put(out, data, size)
    put_empty(out, empty - 1)
    if empty:
        put(out, LAST, EMPTY)
    if out.left:
        crc = ~crc_after(0xFFFFFFFF, data, size)
        put_u16(out, crc)
        put_u16(out, crc >> 16)
        put_u16(out, <uint32_t> size)
        put_u16(out, <uint32_t> size >> 16)


cdef class Stored:
    """The bytes [start, end) of the stored blocks of `data`. They are made at their destination, so the data is copied
    only once. The checksum of a block is computed only if its footer is among these bytes."""

    def __init__(self, const uint8_t[::1] data not None, int64_t start=0, end=None, *, bint apart=False):
        cdef int64_t size = data.shape[0]
        cdef int64_t most = size + around(size, apart) + EMPTY * empty_of(size, apart)
        self._data, self._apart = data, apart
        self._start = min(max(start, 0), most)
        self._end = most if end is None else min(max(<int64_t> end, self._start), most)

    def __len__(self):
        return self._end - self._start

    def __bytes__(self):
        return joined([self])

    cdef void write(self, uint8_t *at) noexcept nogil:
        cdef int64_t size = self._data.shape[0], empty = empty_of(size, self._apart), number, blocks
        cdef const uint8_t *data
        cdef Out out
        if self._end == self._start:
            return
        data = &self._data[0]
        out.at, out.skipped, out.left = at, self._start, self._end - self._start
        if self._apart and size > FEW_:
            put_block(&out, data, FEW_, LEAD_ // EMPTY, 0)
            data, size = data + FEW_, size - FEW_
        blocks = (size + MOST_ - 1) // MOST_
        number = min(out.skipped // STEP, blocks - 1)
        out.skipped -= number * STEP
        while out.left:
            put_block(
                &out, data + number * MOST_, min(MOST_, size - number * MOST_), 0, empty if number == blocks - 1 else 0
            )
            number += 1


cdef void write_portion(object portion, uint8_t *at) except *:
    """Write a portion, bytes-like or `Stored`, to `at`, where there must be room for it."""
    cdef const uint8_t[::1] view
    cdef Stored stored
    if isinstance(portion, Stored):
        stored = portion
        with nogil:
            stored.write(at)
    elif len(portion):
        view = portion
        memcpy(at, &view[0], view.shape[0])


def joined(list portions):
    """Concatenate portions, bytes-like or `Stored`, to bytes."""
    cdef bytes made
    cdef Py_ssize_t size = 0
    if len(portions) == 1 and isinstance(portions[0], bytes):
        return portions[0]
    for portion in portions:
        size += len(portion)
    made = PyBytes_FromStringAndSize(NULL, size)
    size = 0
    for portion in portions:
        write_portion(portion, <uint8_t *> PyBytes_AS_STRING(made) + size)
        size += len(portion)
    return made


_LEAD = bytes(Stored(bytes(FEW_ + 1), 0, AROUND_ - FOOTER + LEAD_, apart=True))
