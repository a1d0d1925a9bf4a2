"""MM: base modifications, stored as a bit for each base that could be modified.

A text is split into its *heads*, such as ``C+h?;C+m?;`` without numbers, and for each group, a bit for each base with
the group's letter, in the order of sequencing: whether the group lists the base. The bits are coded with adaptive
predictions, which depend on the surrounding bases, on whether the previous two such bases are listed, and on whether an
earlier group lists the base. docs/format.md, "Modifications", specifies it.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset, strlen

from bams3.bam.fields cimport REVERSE
from bams3.buffer cimport Buffer
from bams3.codec.mixing cimport Tables, adapt, new_predictions, the_tables
from bams3.codec.range_coder cimport (
    RangeCoder, RangeDecoder, RangeEncoder, close_encoder, code_split, is_used_up, open_decoder, open_encoder,
)
from bams3.codec.surroundings cimport PENTAMERS, Surrounding, Surroundings

from bams3.errors import FormatError

cdef enum:
    MOST_GROUPS = 16  # of a text; a text with more is stored unchanged
    GROUPS = 8        # groups with separate predictions; any others share those of the last one
    LEAST = 32        # probability of either bit, in 1/65536


cdef struct Read:
    # The indices of the bases of a read, sorted by letter, and where those of each letter begin.
    uint32_t *places
    uint32_t start[5]
    uint8_t *listed  # for each base: whether an earlier group lists it


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint is_letter(uint8_t c) noexcept nogil:
    return 65 <= (c & 0xDF) <= 90


cdef const uint8_t *after_head(const uint8_t *p, int *letter) noexcept nogil:
    """The end of a group's head, such as ``C+m?``, without its semicolon or numbers; NULL if there is none."""
    letter[0] = 0 if p[0] == b"A" else 1 if p[0] == b"C" else 2 if p[0] == b"G" else 3 if p[0] == b"T" else 4
    if letter[0] == 4 or (p[1] != b"+" and p[1] != b"-"):
        return NULL
    p += 2
    if is_digit(p[0]):
        while is_digit(p[0]):
            p += 1
    elif is_letter(p[0]):
        while is_letter(p[0]):
            p += 1
    else:
        return NULL
    return p + (p[0] == b"." or p[0] == b"?")


cdef const uint8_t *after_number(const uint8_t *p, uint32_t *number) noexcept nogil:
    """The end of a comma followed by a decimal number without leading zeros; NULL if there is none."""
    cdef const uint8_t *start = p + 1
    number[0] = 0
    p += 1
    while is_digit(p[0]):
        number[0] = 10 * number[0] + p[0] - 48
        p += 1
    if p == start or p - start > 9 or (start[0] == b"0" and p - start > 1):
        return NULL
    return p


cdef bint is_spelled(const uint8_t *p, const Read *read) noexcept nogil:
    """Whether a text can be spelled from bits. If ``read`` is NULL: whether it consists only of heads."""
    cdef int letter = 0, groups = 0
    cdef uint32_t number = 0
    cdef int64_t used
    if p[0] == 0:
        return False
    while p[0]:
        p = after_head(p, &letter)
        groups += 1
        if p == NULL or groups > MOST_GROUPS:
            return False
        used = 0
        while p[0] == b",":
            p = after_number(p, &number)
            used += <int64_t> number + 1
            if p == NULL or read == NULL or used > <int64_t> read.start[letter + 1] - read.start[letter]:
                return False
        if p[0] != b";":
            return False
        p += 1
    return True


cdef void open_read(Read *read, const Surrounding *around, int64_t length) noexcept nogil:
    cdef uint32_t at[4]
    cdef int64_t k
    cdef int letter
    memset(read.listed, 0, length)
    memset(read.start, 0, sizeof(read.start))
    for k in range(length):
        read.start[(around[k].bases >> 4 & 3) + 1] += 1
    for letter in range(4):
        read.start[letter + 1] += read.start[letter]
        at[letter] = read.start[letter]
    for k in range(length):
        letter = around[k].bases >> 4 & 3
        read.places[at[letter]] = <uint32_t> k
        at[letter] += 1


cdef inline int code_listed(RangeCoder *coder, const Tables *tables, uint32_t *prediction, int bit) noexcept nogil:
    cdef uint32_t probability = prediction[0] >> 16
    probability = max(min(probability, <uint32_t> (65536 - LEAST)), <uint32_t> LEAST)
    bit = code_split(coder, (coder.width >> 16) * probability, bit)
    prediction[0] = adapt(tables, prediction[0], bit)
    return bit


cdef inline int code_group(
    RangeCoder *coder, uint32_t *predictions, Read *read, const Surrounding *around, int group, int letter,
    const uint8_t *numbers, Buffer out,
) except -1 nogil:
    """Code the bits of a group: encode them from its numbers, or decode them and write the numbers."""
    cdef const Tables *tables = the_tables()
    cdef uint32_t k, place, skips = 0, number = 0
    cdef uint32_t *row = predictions + 8 * PENTAMERS * min(group, GROUPS - 1)
    cdef int before = 0, bit = 0
    cdef bint more = False
    if RangeCoder is RangeEncoder:
        more = numbers[0] == b","
        if more:
            numbers = after_number(numbers, &number)
    for k in range(read.start[letter], read.start[letter + 1]):
        place = read.places[k]
        if RangeCoder is RangeEncoder:
            bit = more and skips == number
        bit = code_listed(
            coder, tables, row + (read.listed[place] * 4 + before) * PENTAMERS + around[place].bases, bit
        )
        before = (before << 1 | bit) & 3
        skips += 1
        if bit:
            if RangeCoder is RangeEncoder:
                more = numbers[0] == b","
                if more:
                    numbers = after_number(numbers, &number)
            else:
                put_number(out, skips - 1)
            read.listed[place] = 1
            skips = 0
        if RangeCoder is RangeDecoder:
            if coder.missing > 3:
                break
    return 0


cdef int put_number(Buffer out, uint32_t number) except -1 nogil:
    """Append a comma and a number."""
    cdef uint8_t digits[12]
    cdef int k = 12
    while True:
        k -= 1
        digits[k] = <uint8_t> (48 + number % 10)
        number //= 10
        if number == 0:
            break
    digits[k - 1] = b","
    return out.put(digits + k - 1, 13 - k)


cdef class Speller:
    """State that encoder and decoder share: the predictions and the current read."""

    cdef Read read
    cdef uint32_t *predictions

    def __cinit__(self, Surroundings around not None):
        self.read.places = <uint32_t *> malloc((around.longest + 1) * sizeof(uint32_t))
        self.read.listed = <uint8_t *> malloc(around.longest + 1)
        self.predictions = new_predictions(GROUPS * 8 * PENTAMERS)
        if self.read.places == NULL or self.read.listed == NULL:
            raise MemoryError("not enough memory for the longest read of a row group")

    def __dealloc__(self):
        free(self.read.places)
        free(self.read.listed)
        free(self.predictions)


def encode(const uint8_t[::1] texts, const uint32_t[::1] holders, const uint16_t[::1] flag, Surroundings around not None):
    """Encode texts of MM.

    Parameters
    ----------
    texts
        The texts, each with its NUL.
    holders
        The index of the record of each text.
    flag
        FLAG of all records, shape (n,).
    around
        The surroundings of the reads' bases.

    Returns
    -------
    tuple of Buffer
        The texts, each with its NUL, where heads replace those that can be spelled from bits; and the bits.
    """
    cdef Buffer heads = Buffer(texts.shape[0] // 8), bits = Buffer(texts.shape[0] // 8 + 64)
    cdef Speller speller = Speller(around)
    cdef const uint8_t *p = &texts[0]
    cdef const uint8_t *numbers
    cdef const Surrounding *surrounding
    cdef RangeEncoder coder
    cdef Py_ssize_t i
    cdef int letter = 0, group
    cdef int64_t length
    cdef bint any_ = False
    with nogil:
        open_encoder(&coder, bits.data)
        for i in range(holders.shape[0]):
            length = strlen(<const char *> p)
            surrounding = around.of(holders[i], flag[holders[i]] & REVERSE)
            open_read(&speller.read, surrounding, around.l_seq[holders[i]])
            if not is_spelled(p, &speller.read):
                heads.put(p, length + 1)
                p += length + 1
                continue
            any_ = True
            group = 0
            while p[0]:
                numbers = after_head(p, &letter)
                heads.put(p, numbers - p)
                heads.put_u8(b";")
                # Coding one bit takes at most 11 bits.
                bits.reserve(2 * <size_t> (speller.read.start[letter + 1] - speller.read.start[letter]) + 16)
                coder.at = bits.data + bits.size
                code_group(&coder, speller.predictions, &speller.read, surrounding, group, letter, numbers, bits)
                bits.size = coder.at - bits.data
                p = numbers
                while p[0] != b";":
                    p += 1
                p += 1
                group += 1
            heads.put_u8(0)
            p += 1
        bits.reserve(8)
        coder.at = bits.data + bits.size
        close_encoder(&coder)
        bits.size = coder.at - bits.data if any_ else 0
    return heads, bits


def decode(
    const uint8_t[::1] heads, const uint8_t[::1] bits, const uint32_t[::1] holders, const uint16_t[::1] flag,
    Surroundings around not None, size_t limit,
):
    """Decode the texts that `encode` was given.

    Parameters
    ----------
    heads, bits
        The results of `encode`.
    holders, flag, around
        As in `encode`.
    limit
        The largest size of the result in bytes, approximately.

    Returns
    -------
    Buffer
        The texts, each with its NUL.

    Raises
    ------
    FormatError
        If ``heads`` and ``bits`` are not results of `encode`.
    """
    cdef Buffer out = Buffer(heads.shape[0])
    cdef Speller speller = Speller(around)
    cdef const uint8_t *p = &heads[0] if heads.shape[0] else NULL
    cdef const uint8_t *end = p + heads.shape[0]
    cdef const uint8_t *numbers
    cdef const Surrounding *surrounding
    cdef RangeDecoder coder
    cdef Py_ssize_t i
    cdef int letter = 0, group
    cdef int64_t length
    if heads.shape[0] and heads[heads.shape[0] - 1]:
        raise FormatError("stream 'tag.MM:Z' does not end with a complete text")
    open_decoder(&coder, &bits[0], &bits[0] + bits.shape[0])
    with nogil:
        for i in range(holders.shape[0]):
            if p >= end or coder.missing > 3 or out.size > limit:
                break
            length = strlen(<const char *> p)
            if not is_spelled(p, NULL):
                out.put(p, length + 1)
                p += length + 1
                continue
            surrounding = around.of(holders[i], flag[holders[i]] & REVERSE)
            open_read(&speller.read, surrounding, around.l_seq[holders[i]])
            group = 0
            while p[0]:
                numbers = after_head(p, &letter)
                out.put(p, numbers - p)
                code_group(&coder, speller.predictions, &speller.read, surrounding, group, letter, numbers, out)
                out.put_u8(b";")
                p = numbers + 1
                group += 1
            out.put_u8(0)
            p += 1
    if p != end or out.size > limit or not is_used_up(&coder):
        raise FormatError("stream 'tag.MM:Z.listed' does not match the texts and the reads")
    return out
