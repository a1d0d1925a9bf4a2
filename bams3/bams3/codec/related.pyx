"""Texts of tags that mostly follow from other texts: cell barcodes and UMIs, raw and corrected, and sample barcodes.

A record's text is compared with *candidates*: the text of the previous record of the same name, the text of the tag
that was corrected (an uncorrected barcode, for example), and the texts of previous records with the same barcode.
``.like`` says which candidate it equals. Texts that equal none are stored without NUL; each distinct one is stored only
once if that takes fewer bytes. docs/format.md, "Related texts", specifies it.
"""

from cpython cimport array
from array import array as new_array

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcmp, memcpy, strlen

from bams3.buffer cimport Buffer
from bams3.codec.primitives cimport (
    Cursor, ShortCursor, get_short, has_more, new_table, open_cursor, open_short, put_short,
)

from bams3.errors import FormatError

cdef array.array INT64 = new_array("q")
cdef array.array INT32 = new_array("i")

cdef enum:
    MOST = 8           # candidates
    STEPS = 16         # previous records with the same barcode that are considered
    NEW = 0            # in ``.like``: none of the candidates
    REPLACED = 1       # in ``.like``: the first candidate, except for one letter
    FIRST = 2          # in ``.like``: the first candidate; k more: the one k places after it
    LONGEST = 255      # bytes of a text in which a letter may be replaced

STREAMS = ("", ".length", ".length.long", ".number", ".number.long", ".like", ".place", ".letter", ".ending")
"""Endings of the names of the streams that replace the one of a tag."""


cdef inline uint64_t hash_of(const uint8_t *text, size_t length) noexcept nogil:
    cdef uint64_t h = length
    cdef size_t k
    for k in range(length):
        h = (h ^ text[k]) * <uint64_t> 0xFF51AFD7ED558CCD
        h ^= h >> 32
    return h


cdef class Texts:
    """The texts of a tag, each with its NUL, and where each record's first text begins."""

    cdef const uint8_t[::1] data
    cdef array.array starts  # -1: the record has none

    def __init__(self, data, const uint32_t[::1] holders, Py_ssize_t n):
        """``holders``: the record of each text, ascending. Raises FormatError if the number of texts differs."""
        cdef const uint8_t *nul
        cdef Py_ssize_t v, at = 0
        self.data = data
        self.starts = array.clone(INT64, n, False)
        cdef int64_t *starts = <int64_t *> self.starts.data.as_longlongs
        cdef bint whole = True
        for v in range(n):
            starts[v] = -1
        for v in range(holders.shape[0]):
            nul = NULL
            if at < self.data.shape[0]:
                nul = <const uint8_t *> memchr(&self.data[at], 0, self.data.shape[0] - at)
            whole = nul != NULL and holders[v] < n
            if not whole:
                break
            if starts[holders[v]] < 0:
                starts[holders[v]] = at
            at = nul + 1 - &self.data[0]
        if not whole or at != self.data.shape[0]:
            raise FormatError("texts do not match the records that have them")

    cdef const uint8_t *of(self, Py_ssize_t record) noexcept nogil:
        """The text of a record; NULL if it has none."""
        cdef int64_t start = self.starts.data.as_longlongs[record]
        return &self.data[start] if start >= 0 else NULL


cdef array.array same_before(Texts group, Py_ssize_t n):
    """For each record, the previous record with the same text: array('i'), -1 if there is none."""
    cdef array.array before = array.clone(INT32, n, False)
    cdef size_t slots, slot
    cdef int32_t *table = new_table(n, &slots)
    cdef const uint8_t *text
    cdef size_t length
    cdef Py_ssize_t i
    if table == NULL:
        raise MemoryError("not enough memory for the texts of a row group")
    with nogil:
        for i in range(n):
            before.data.as_ints[i] = -1
            text = group.of(i)
            if text == NULL:
                continue
            length = strlen(<const char *> text) + 1
            slot = hash_of(text, length) & (slots - 1)
            while table[slot] >= 0 and differ(group.of(table[slot]), text, length):
                slot = (slot + 1) & (slots - 1)
            before.data.as_ints[i] = table[slot]
            table[slot] = <int32_t> i
        free(table)
    return before


cdef inline int differ(const uint8_t *text, const uint8_t *other, size_t length) noexcept nogil:
    """Whether two texts differ. ``length`` is that of ``other``, with its NUL."""
    if strlen(<const char *> text) + 1 != length:
        return 1
    return memcmp(text, other, length)


cdef struct Candidate:
    const uint8_t *text
    size_t length  # without NUL
    bint extended  # whether the ending follows it


cdef class Candidates:
    """The candidates for the text of a record. ``before`` has, for each record, the previous record of the same name,
    or -1. ``base`` has the texts that were corrected. Records with equal texts in ``group`` give candidates."""

    cdef const int32_t[::1] before
    cdef Texts base
    cdef array.array chain
    cdef const uint8_t *ending
    cdef size_t ending_length
    cdef bytes held
    cdef Candidate found[MOST]
    cdef int count

    def __init__(self, before, Texts base, Texts group, bytes ending):
        self.before, self.base, self.held = before, base, ending
        self.ending, self.ending_length = <const uint8_t *> <const char *> self.held, len(ending)
        self.chain = None if group is None else same_before(group, len(before))

    cdef void add(self, const uint8_t *text, bint extended) noexcept nogil:
        """Add a candidate, unless it is there already or there are too many."""
        cdef size_t length = strlen(<const char *> text)
        cdef int k
        for k in range(self.count):
            if (
                self.found[k].extended == extended and self.found[k].length == length
                and memcmp(self.found[k].text, text, length) == 0
            ):
                return
        if self.count < MOST:
            self.found[self.count] = Candidate(text, length, extended)
            self.count += 1

    cdef void find(self, Py_ssize_t record, const uint8_t *texts, const int64_t *starts) noexcept nogil:
        """Find the candidates of a record. ``texts`` has the tag's texts of the records before it, each beginning at
        its record's element of ``starts``."""
        cdef int64_t at = self.before[record]
        cdef int step
        self.count = 0
        if 0 <= at < record and starts[at] >= 0:
            self.add(texts + starts[at], False)
        if self.base is not None and self.base.of(record) != NULL:
            self.add(self.base.of(record), True)
        if self.chain is None:
            return
        at = record
        for step in range(STEPS):
            at = self.chain.data.as_ints[at]
            if at < 0:
                break
            if starts[at] >= 0:
                self.add(texts + starts[at], False)

    cdef inline size_t length_of(self, int k) noexcept nogil:
        return self.found[k].length + (self.ending_length if self.found[k].extended else 0)

    cdef bint is_like(self, int k, const uint8_t *text, size_t length) noexcept nogil:
        """Whether a text equals a candidate."""
        cdef const Candidate *found = &self.found[k]
        return (
            length == self.length_of(k) and memcmp(text, found.text, found.length) == 0
            and memcmp(text + found.length, self.ending, length - found.length) == 0
        )

    cdef int place_in(self, const uint8_t *text, size_t length) noexcept nogil:
        """The index of the only letter in which a text differs from the first candidate; -1 if there is no such."""
        cdef const Candidate *found = &self.found[0]
        cdef int place = -1
        cdef size_t k
        if self.count == 0 or length != self.length_of(0) or length > LONGEST:
            return -1
        for k in range(length):
            if text[k] != (found.text[k] if k < found.length else self.ending[k - found.length]):
                if place >= 0:
                    return -1
                place = <int> k
        return place


cdef bytes ending_of(Texts base, Texts texts, Py_ssize_t n):
    """What follows a record's text of ``base`` in its text of ``texts``, for the first record where one begins with
    the other."""
    cdef const uint8_t *text
    cdef size_t length
    cdef Py_ssize_t i
    for i in range(n if base is not None else 0):
        if base.of(i) != NULL and texts.of(i) != NULL:
            text = texts.of(i)
            length = strlen(<const char *> base.of(i))
            if strlen(<const char *> text) >= length and memcmp(text, base.of(i), length) == 0:
                return <bytes> (<const char *> text + length)
    return b""


cdef Texts opened(related, Py_ssize_t n):
    return None if related is None else Texts(related[0], related[1], n)


def encode(texts, const uint32_t[::1] holders, before, base, group):
    """Encode the texts ``texts``, each with its NUL, of the records ``holders``.

    ``before`` has, for each record of the row group, the previous record of the same name, or -1: array('i'). ``base``
    and ``group`` are texts and holders of the related tags, or None. Returns two dicts of streams, by STREAMS. The
    second dict stores each distinct new text only once, and numbers for repetitions.
    """
    cdef Py_ssize_t n = len(before), v, new = 0
    cdef Texts own = Texts(texts, holders, n), of_base = opened(base, n)
    cdef Candidates candidates = Candidates(before, of_base, opened(group, n), ending_of(of_base, own, n))
    cdef Buffer like = Buffer(holders.shape[0]), place = Buffer(), letter = Buffer(), ending = Buffer()
    cdef Buffer letters = Buffer(), length = Buffer(), longs = Buffer(width=4)
    cdef Buffer words = Buffer(), word_length = Buffer(), word_longs = Buffer(width=4)
    cdef Buffer number = Buffer(), number_long = Buffer(width=4), known = Buffer()
    cdef size_t slots, slot, size
    cdef int32_t *table = new_table(holders.shape[0], &slots)
    cdef const uint8_t *text = &own.data[0]
    cdef const uint8_t *word
    cdef int k, at
    if table == NULL:
        raise MemoryError("not enough memory for the texts of a row group")
    ending.put(candidates.ending, candidates.ending_length)
    with nogil:
        for v in range(holders.shape[0]):
            size = strlen(<const char *> text)
            candidates.find(holders[v], &own.data[0], <const int64_t *> own.starts.data.as_longlongs)
            k = 0
            while k < candidates.count and not candidates.is_like(k, text, size):
                k += 1
            at = candidates.place_in(text, size) if k == candidates.count else -1
            if k < candidates.count:
                like.put_u8(<uint8_t> (FIRST + k))
            elif at >= 0:
                like.put_u8(REPLACED)
                place.put_u8(<uint8_t> at)
                letter.put_u8(text[at])
            else:
                like.put_u8(NEW)
                letters.put(text, size)
                put_short(length, longs, <uint32_t> size)
                slot = hash_of(text, size) & (slots - 1)
                while table[slot] >= 0:
                    word = (<const uint8_t **> known.data)[table[slot]]
                    if differ(word, text, size + 1) == 0:
                        break
                    slot = (slot + 1) & (slots - 1)
                put_short(number, number_long, <uint32_t> (table[slot] + 1))
                if table[slot] < 0:
                    table[slot] = <int32_t> new
                    new += 1
                    known.put(&text, sizeof(text))
                    words.put(text, size)
                    put_short(word_length, word_longs, <uint32_t> size)
            text += size + 1
        free(table)
    shared = {".like": like, ".place": place, ".letter": letter, ".ending": ending}
    return (
        {"": letters, ".length": length, ".length.long": longs} | shared,
        {
            "": words, ".length": word_length, ".length.long": word_longs, ".number": number,
            ".number.long": number_long,
        } | shared,
    )


cdef class RelatedDecoder:
    """Decodes the texts of a tag; ``out`` has them, each with its NUL."""

    cdef readonly Buffer out
    cdef Buffer known         # where in ``letters`` each new text begins, and its length: u64 each
    cdef Cursor letters, like, place, letter
    cdef ShortCursor length, number
    cdef bint numbered
    cdef size_t limit

    def __init__(self, streams, str name, const uint32_t[::1] holders, before, base, group, size_t limit):
        """The parameters are those of `decode`."""
        cdef Py_ssize_t n = len(before), v
        held = [streams[name + suffix] for suffix in STREAMS]
        cdef Candidates candidates = Candidates(before, opened(base, n), opened(group, n), bytes(held[8]))
        cdef array.array starts = array.clone(INT64, n, False)
        cdef bint whole = 0 not in candidates.held
        self.out, self.known, self.limit = Buffer(), Buffer(), limit
        open_cursor(&self.letters, held[0])
        open_short(&self.length, held[1], held[2])
        open_short(&self.number, held[3], held[4])
        open_cursor(&self.like, held[5])
        open_cursor(&self.place, held[6])
        open_cursor(&self.letter, held[7])
        self.numbered = has_more(&self.number)
        with nogil:
            for v in range(n):
                starts.data.as_longlongs[v] = -1
            for v in range(holders.shape[0]):
                whole = whole and holders[v] < n and self.next_text(
                    candidates, holders[v], <int64_t *> starts.data.as_longlongs
                )
                if not whole:
                    break
        if (
            not whole or self.letters.at != self.letters.end or self.like.at != self.like.end
            or self.place.at != self.place.end or self.letter.at != self.letter.end or has_more(&self.length)
            or has_more(&self.number)
        ):
            raise FormatError(f"stream '{name}.like' does not match the texts of the row group")

    cdef bint next_text(self, Candidates candidates, Py_ssize_t record, int64_t *starts) except -1 nogil:
        """Decode the next text; returns False if the streams lack it."""
        cdef size_t start = self.out.size, length
        cdef uint8_t like
        cdef bint replaced
        if self.like.at == self.like.end:
            return False
        like = self.like.at[0]
        self.like.at += 1
        if like == NEW:
            if not self.put_new():
                return False
        else:
            candidates.find(record, self.out.data, starts)
            replaced = like == REPLACED
            like = FIRST if replaced else like
            if like - FIRST >= candidates.count or not self.put_candidate(candidates, like - FIRST):
                return False
            if replaced:
                length = self.out.size - start
                if (
                    self.place.at == self.place.end or self.letter.at == self.letter.end
                    or self.place.at[0] >= length or self.letter.at[0] == 0
                ):
                    return False
                self.out.data[start + self.place.at[0]] = self.letter.at[0]
                self.place.at += 1
                self.letter.at += 1
        if starts[record] < 0:
            starts[record] = <int64_t> start
        self.out.put_u8(0)
        return True

    cdef bint put_candidate(self, Candidates candidates, int k) except -1 nogil:
        cdef const Candidate *found = &candidates.found[k]
        cdef size_t length = candidates.length_of(k), at = 0
        if length > self.limit - min(self.limit, self.out.size):
            return False
        if not found.extended:
            at = found.text - self.out.data
        self.out.reserve(length + 1)
        memcpy(self.out.data + self.out.size, found.text if found.extended else self.out.data + at, found.length)
        memcpy(self.out.data + self.out.size + found.length, candidates.ending, length - found.length)
        self.out.size += length
        return True

    cdef bint put_new(self) except -1 nogil:
        """Append a new text, which equals none of the candidates."""
        cdef uint32_t number = 0, length = 0
        cdef uint64_t place[2]
        if self.numbered and not get_short(&self.number, &number):
            return False
        if number == 0:
            if not get_short(&self.length, &length) or length > self.letters.end - self.letters.at:
                return False
            if memchr(self.letters.at, 0, length) != NULL:
                return False
            place[0] = <uint64_t> self.letters.at
            place[1] = length
            if self.numbered:
                self.known.put(place, sizeof(place))
            self.letters.at += length
        else:
            if number > self.known.size // sizeof(place):
                return False
            memcpy(place, self.known.data + (number - 1) * sizeof(place), sizeof(place))
        if place[1] > self.limit - min(self.limit, self.out.size):
            return False
        return self.out.put(<const uint8_t *> place[0], place[1]) == 0


def decode(streams, str name, const uint32_t[::1] holders, before, base, group, size_t limit):
    """Decode the texts of the tag's stream ``name``, each with its NUL: a Buffer. The other parameters are those of
    `encode`. Raises FormatError if the streams are damaged, or the texts have more than ``limit`` bytes."""
    return RelatedDecoder(streams, name, holders, before, base, group, limit).out
