"""Fields of a row group in Arrow's memory layout: offsets with bytes, and indexes into a dictionary.

Text is UTF-8. Text with one character per byte (Latin-1) has the same bytes if it is ASCII. Offsets are array('i') of
n + 1 numbers, so the text of a column is limited to 2 GiB.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from bams3.bam.fields cimport BASE_LETTERS, CIGAR_LETTERS
from bams3.buffer cimport Buffer

from bams3.errors import UsageError

cdef array.array INT32 = new_array("i")

cdef enum:
    LARGEST = 0x7FFFFFFF  # bytes of text that 32-bit offsets can address
    NUMBER = 12           # most characters of a CIGAR operation and its length
    SHIFT = 33            # difference between a quality and its character
    LAST_SHIFTED = 222    # the largest quality to which SHIFT can be added
    MISSING = 0xFF        # the first quality of a record without qualities


cdef array.array offsets_of(Py_ssize_t n):
    cdef array.array offsets = array.clone(INT32, n + 1, False)
    offsets.data.as_ints[0] = 0
    return offsets


cdef int check_size(int64_t size) except -1:
    if size > LARGEST:
        raise UsageError(f"{size} bytes of text do not fit into an Arrow column: the limit is 2 GiB per row group")
    return 0


cdef bint is_ascii(const uint8_t *data, int64_t size) noexcept nogil:
    cdef uint8_t every = 0
    cdef int64_t i
    for i in range(size):
        every |= data[i]
    return every < 0x80


cdef object utf8(const uint8_t *data, const int32_t *starts, Py_ssize_t n):
    """Convert n texts with one character per byte to UTF-8; return offsets and bytes."""
    cdef array.array offsets_array = offsets_of(n)
    cdef int32_t *offsets = <int32_t *> offsets_array.data.as_ints
    cdef Buffer out = Buffer(starts[n])
    cdef Py_ssize_t i
    cdef int32_t k
    with nogil:
        for i in range(n):
            for k in range(starts[i], starts[i + 1]):
                if data[k] < 0x80:
                    out.put_u8(data[k])
                else:
                    out.put_u8(0xC0 | data[k] >> 6)
                    out.put_u8(0x80 | (data[k] & 0x3F))
            if out.size > LARGEST:
                break
            offsets[i + 1] = <int32_t> out.size
    check_size(out.size)
    return offsets_array, out


def texts(text, const int64_t[::1] starts not None):
    """Return offsets and bytes of n texts with one character per byte. Text i is ``text[starts[i]:starts[i + 1]]``.

    If ``text`` is ASCII, it is returned itself. ``starts``: shape (n + 1,), beginning with 0.
    """
    cdef const uint8_t[::1] data = text
    cdef Py_ssize_t n = starts.shape[0] - 1, i
    cdef array.array offsets_array
    cdef int32_t *offsets
    cdef bint ascii
    if n < 0 or starts[0] or starts[n] > data.shape[0]:
        raise ValueError("the starts do not fit the text")
    check_size(starts[n])
    offsets_array = offsets_of(n)
    offsets = <int32_t *> offsets_array.data.as_ints
    with nogil:
        for i in range(n):
            if starts[i + 1] < starts[i]:
                break
            offsets[i + 1] = <int32_t> starts[i + 1]
        else:
            i = n
        ascii = i == n and (starts[n] == 0 or is_ascii(&data[0], starts[n]))
    if i < n:
        raise ValueError("the starts are not in order")
    return (offsets_array, text) if ascii else utf8(&data[0], offsets, n)


cdef inline void put_letters(const uint8_t *packed, int64_t size, const uint16_t *pairs, uint8_t *out) noexcept nogil:
    """Write the letters of bases that are packed two per byte."""
    cdef int64_t i
    for i in range(size):
        memcpy(out + 2 * i, pairs + packed[i], 2)


cdef inline uint8_t put_characters(const uint8_t *qual, int64_t length, uint8_t *out) noexcept nogil:
    """Write qualities as characters; return the bits that are set in any of them."""
    cdef uint8_t every = 0, value
    cdef int64_t i
    for i in range(length):
        value = <uint8_t> (qual[i] + SHIFT) if qual[i] <= LAST_SHIFTED else qual[i]
        every |= value
        out[i] = value
    return every


cdef int64_t total_of(const int32_t[::1] l_seq, int64_t bases, int64_t packed) except -1:
    """Check that columns of these sizes hold all bases; return the length of their text, with "*" for empty ones."""
    cdef int64_t text = 0, halves = 0, total = 0
    cdef Py_ssize_t i
    for i in range(l_seq.shape[0]):
        if l_seq[i] < 0:
            raise ValueError("a length is negative")
        text += max(l_seq[i], 1)
        total += l_seq[i]
        halves += (<int64_t> l_seq[i] + 1) >> 1
    check_size(text)
    if total > bases or halves > packed:
        raise ValueError("the columns are shorter than the sum of l_seq")
    return text


def sequences(const uint8_t[::1] seq not None, const int32_t[::1] l_seq not None):
    """Return offsets and text of SEQ ("*" if empty). ``seq``: concatenated sequences in BAM encoding."""
    cdef Py_ssize_t n = l_seq.shape[0], i
    cdef int64_t size = total_of(l_seq, LARGEST, seq.shape[0]), used = 0
    cdef uint16_t[256] pairs
    cdef uint8_t *pair
    cdef array.array offsets = offsets_of(n)
    cdef Buffer out = Buffer(size + 1)
    cdef const uint8_t *packed = &seq[0] if seq.shape[0] else NULL
    for i in range(256):
        pair = <uint8_t *> &pairs[i]
        pair[0] = BASE_LETTERS[i >> 4]
        pair[1] = BASE_LETTERS[i & 15]
    with nogil:
        for i in range(n):
            if l_seq[i]:
                put_letters(packed, (<int64_t> l_seq[i] + 1) >> 1, pairs, out.data + used)
                packed += (<int64_t> l_seq[i] + 1) >> 1
                used += l_seq[i]
            else:
                out.data[used] = b"*"
                used += 1
            offsets.data.as_ints[i + 1] = <int32_t> used
        out.size = used
    return offsets, out


def qualities(const uint8_t[::1] qual not None, const int32_t[::1] l_seq not None):
    """Return offsets and text of QUAL: 33 is added to each value; "*" if missing. ``qual``: concatenated, as in BAM."""
    cdef Py_ssize_t n = l_seq.shape[0], i
    cdef int64_t size = total_of(l_seq, qual.shape[0], LARGEST), used = 0
    cdef array.array offsets = offsets_of(n)
    cdef Buffer out = Buffer(size + 1)
    cdef const uint8_t *values = &qual[0] if qual.shape[0] else NULL
    cdef uint8_t every = 0
    with nogil:
        for i in range(n):
            if l_seq[i] and values[0] != MISSING:
                every |= put_characters(values, l_seq[i], out.data + used)
                used += l_seq[i]
            else:
                out.data[used] = b"*"
                used += 1
            values += l_seq[i]
            offsets.data.as_ints[i + 1] = <int32_t> used
        out.size = used
    return (offsets, out) if every < 0x80 else utf8(out.data, <int32_t *> offsets.data.as_ints, n)


def quality_lists(const uint8_t[::1] qual not None, const int32_t[::1] l_seq not None):
    """Return the offsets of each record's values in ``qual``, and a bytearray with 1 for records with qualities."""
    cdef Py_ssize_t n = l_seq.shape[0], i
    cdef int64_t used = 0
    cdef array.array offsets = offsets_of(n)
    valid_array = bytearray(n)
    cdef uint8_t[::1] valid = valid_array
    total_of(l_seq, qual.shape[0], LARGEST)
    with nogil:
        for i in range(n):
            valid[i] = l_seq[i] > 0 and qual[used] != MISSING
            used += l_seq[i]
            offsets.data.as_ints[i + 1] = <int32_t> used
    return offsets, valid_array


def cigars(const uint32_t[::1] start not None, const uint32_t[::1] count not None,
           const uint32_t[::1] pool not None):
    """Return each record's index in a dictionary of CIGARs, array('i'), and the offsets and text of the dictionary.

    The operations of record i are ``pool[start[i]:start[i] + count[i]]``. Without operations, its CIGAR is "*".
    """
    cdef Py_ssize_t n = start.shape[0], i
    cdef int64_t k
    cdef array.array index = array.clone(INT32, n, False)
    cdef array.array known_array = array.clone(INT32, pool.shape[0] + 1, True)
    cdef int32_t *known = <int32_t *> known_array.data.as_ints  # 1 + index of a CIGAR, by its start; the last: of "*"
    cdef int32_t *slot
    cdef int32_t distinct = 0
    cdef array.array ends
    cdef Buffer marks = Buffer(width=4), out = Buffer()
    if count.shape[0] != n:
        raise ValueError("starts and counts of CIGARs differ in number")
    with nogil:
        for i in range(n):
            if <int64_t> start[i] + count[i] > pool.shape[0]:
                break
            slot = &known[start[i] if count[i] else pool.shape[0]]
            if not slot[0]:
                for k in range(count[i]):
                    put_operation(out, pool[start[i] + k])
                if not count[i]:
                    out.put_u8(b"*")
                if out.size > LARGEST:
                    break
                marks.put_u32(<uint32_t> out.size)
                distinct += 1
                slot[0] = distinct
            index.data.as_ints[i] = slot[0] - 1
        else:
            i = n
    check_size(out.size)
    if i < n:
        raise ValueError("a CIGAR is not in the pool")
    ends = offsets_of(distinct)
    if distinct:
        memcpy(ends.data.as_ints + 1, marks.data, marks.size)
    return index, ends, out


cdef inline int put_operation(Buffer out, uint32_t operation) except -1 nogil:
    cdef uint8_t[NUMBER] digits
    cdef int at = NUMBER - 1
    cdef uint32_t length = operation >> 4
    digits[at] = CIGAR_LETTERS[operation & 15]
    while True:
        at -= 1
        digits[at] = 48 + length % 10
        length //= 10
        if not length:
            break
    return out.put(&digits[at], NUMBER - at)
