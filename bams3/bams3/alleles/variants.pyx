"""Alleles of sites, REF and ALT, and counts of the reads that have them.

If an allele is a base at the site itself, its count is one of the site's counts. Other alleles have a pattern: a base
after the site's position, several bases, an insertion, or a deletion. REF also has a pattern if an ALT has one. Each
pattern is counted independently.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from bams3.alleles.counts cimport NO_ROW, WIDTH, row_of_base, rows_before
from bams3.alleles.piles cimport Pile
from bams3.alleles.reads cimport Reads
from bams3.alleles.walk cimport (
    Inserted, Read, Run, code_of, first_run, indel_after, inserted_after, is_in, next_run, quality_at,
)
from bams3.bam.fields cimport BASE_LETTERS, MATCHES, REVERSE
from bams3.buffer cimport Buffer

from array import array

cdef enum:
    TAB = 9
    COMMA = 44
    DOT = 46
    ANY = -0x7FFFFFFF       # as an indel: anything may follow
    MOST = 0x7FFFFFFF       # greater than any position


cdef class Alleles:
    """The alleles of some sites. `text` has ID, REF and ALT of each site, separated by tabs; `text_ends`, where they
    end."""

    def __cinit__(self, const int64_t[::1] position not None, bytes text not None,
                  const int64_t[::1] text_ends not None):
        cdef Py_ssize_t i
        cdef int64_t begin = 0, end = 0, size = len(text)
        if position.shape[0] != text_ends.shape[0]:
            raise ValueError(f"{text_ends.shape[0]} texts of {position.shape[0]} sites")
        self.sites, self.text, self.chars = position.shape[0], text, <const uint8_t *> <const char *> text
        self.begins, self.sources, self.patterns = Buffer(width=8), Buffer(width=4), Buffer()
        with nogil:
            for i in range(self.sites):
                begin, end = end, text_ends[i]
                if not begin <= end <= size:
                    with gil:
                        raise ValueError(f"the text of site {i} is not in what was given")
                self.begins.put_u64(self.sources.size // 4)
                self.parse(<int32_t> i, position[i], begin, end)
            self.begins.put_u64(self.sources.size // 4)

    def __len__(self):
        """The number of patterns."""
        return self.patterns.size // sizeof(Pattern)

    cdef int parse(self, int32_t site, int64_t position, int64_t begin, int64_t end) except -1 nogil:
        cdef const uint8_t *text = self.chars
        cdef int64_t at = min(word_end(text, begin, end, TAB) + 1, end), stop = word_end(text, at, end, TAB)
        cdef const uint8_t *ref = text + at
        cdef int64_t length = stop - at, row = self.sources.size // 4
        cdef Hull hull = Hull(MOST, -1, MOST, -1, -1, False)
        self.put_source(source_of(ref[0] if length == 1 else <uint8_t> DOT))
        at = stop + 1
        if at >= end or (at == end - 1 and text[at] == DOT):
            return 0
        while at <= end:
            stop = word_end(text, at, end, COMMA)
            self.put_source(NOT_COUNTED)
            if length and position + length < MOST and are_bases(text + at, stop - at):
                self.put_alternative(&hull, site, position, ref, length, text + at, stop - at)
            at = stop + 1
        self.put_reference(&hull, site, position, ref, row)
        return 0

    cdef int put_source(self, int32_t source) except -1 nogil:
        return self.sources.put_u32(<uint32_t> source)

    cdef int put_pattern(self, int64_t allele, const Pattern *pattern) except -1 nogil:
        (<int32_t *> self.sources.data)[allele] = <int32_t> (FIRST_PATTERN + self.patterns.size // sizeof(Pattern))
        return self.patterns.put(pattern, sizeof(Pattern))

    cdef int put_alternative(self, Hull *hull, int32_t site, int64_t position, const uint8_t *ref, int64_t ref_length,
                             const uint8_t *alt, int64_t length) except -1 nogil:
        """Decide how an ALT is counted; its source must be the last one. Bases that it shares with REF at the end, and
        then at the beginning, are ignored. It is not counted unless the rest is a replacement of equal length, an
        insertion, or a deletion."""
        cdef int64_t allele = self.sources.size // 4 - 1, shared = 0, first
        cdef Pattern pattern
        while ref_length > 1 and length > 1 and is_same(ref[ref_length - 1], alt[length - 1]):
            ref_length -= 1
            length -= 1
        while ref_length > shared + 1 and length > shared + 1 and is_same(ref[shared], alt[shared]):
            shared += 1
        first, ref_length, length = position + shared, ref_length - shared, length - shared
        ref, alt = ref + shared, alt + shared
        if ref_length == length:
            hull.at, hull.stop = min(hull.at, first), max(hull.stop, first + length)
            if length == 1 and shared == 0:
                (<int32_t *> self.sources.data)[allele] = source_of(alt[0])
            else:
                pattern = Pattern(alt, <int32_t> first, <int32_t> (first + length - 1), <int32_t> first,
                                  <int32_t> length, ANY, site, False)
                self.put_pattern(allele, &pattern)
                hull.has_pattern = True
        elif (ref_length == 1 or length == 1) and is_same(ref[0], alt[0]):
            pattern = Pattern(alt + 1, <int32_t> first, <int32_t> first, 0, 0, <int32_t> (length - ref_length), site,
                              False)
            self.put_pattern(allele, &pattern)
            hull.anchor, hull.has_pattern = max(hull.anchor, first), True
            length = 1
        else:
            return 0
        hull.first, hull.last = min(hull.first, first), max(hull.last, first + length - 1)
        return 0

    cdef int put_reference(self, const Hull *hull, int32_t site, int64_t position, const uint8_t *ref,
                           int64_t allele) except -1 nogil:
        """Decide how REF is counted, depending on its ALTs."""
        cdef Pattern pattern
        cdef int64_t compared = max(hull.stop - hull.at, 0)
        cdef const uint8_t *bases = ref + (hull.at - position) if compared else ref
        if hull.has_pattern:
            (<int32_t *> self.sources.data)[allele] = NOT_COUNTED
            if are_bases(bases, compared) or not compared:
                pattern = Pattern(bases, <int32_t> hull.first, <int32_t> hull.last, <int32_t> hull.at,
                                  <int32_t> compared, 0 if hull.anchor == hull.last else ANY, site, True)
                self.put_pattern(allele, &pattern)
        elif compared:
            (<int32_t *> self.sources.data)[allele] = source_of(ref[0])
        return 0

    def starts(self):
        """Index of the first allele of each site, followed by the number of all alleles: array('q')."""
        made = array("q")
        made.frombytes(self.begins)
        return made

    def places(self, const int32_t[::1] contig not None):
        """Where the patterns are: their contigs, array('i'), first positions, and last positions, array('q') each.
        `contig` has the contigs of the sites."""
        cdef const Pattern *patterns = <const Pattern *> self.patterns.data
        cdef Py_ssize_t k, n = len(self)
        cdef int32_t[::1] contigs
        cdef int64_t[::1] first, last
        if contig.shape[0] != self.sites:
            raise ValueError(f"contigs of {contig.shape[0]} sites, not {self.sites}")
        made = array("i", bytes(4)) * n, array("q", bytes(8)) * n, array("q", bytes(8)) * n
        contigs, first, last = made
        for k in range(n):
            contigs[k], first[k], last[k] = contig[patterns[k].site], patterns[k].first, patterns[k].last
        return made

    def depths(self, const int32_t[::1] of_sites not None, const int32_t[::1] of_patterns not None, Py_ssize_t first,
               Py_ssize_t last):
        """How many reads have each allele of the sites [first, last), on the forward and on the reverse strand: two
        array('i'), with -1 for alleles that are not counted. `of_sites` and `of_patterns` are the counts of all sites
        and patterns."""
        cdef Py_ssize_t i
        cdef int64_t k, begin
        cdef int32_t[::1] forward, reverse
        cdef const int32_t *found
        cdef const int32_t *others = &of_patterns[0] if of_patterns.shape[0] else NULL
        if not 0 <= first <= last <= self.sites:
            raise ValueError(f"there are no sites from {first} to {last}")
        if of_sites.shape[0] != WIDTH * self.sites or of_patterns.shape[0] != 2 * len(self):
            raise ValueError(f"{of_sites.shape[0]} and {of_patterns.shape[0]} counts of {self.sites} sites")
        begin = self.first(first)
        made = array("i", bytes(4)) * (self.first(last) - begin), array("i", bytes(4)) * (self.first(last) - begin)
        forward, reverse = made
        with nogil:
            for i in range(first, last):
                found = &of_sites[WIDTH * i]
                for k in range(self.first(i), self.first(i + 1)):
                    forward[k - begin] = self.count(k, found, others, False)
                    reverse[k - begin] = self.count(k, found, others, True)
        return made


cdef inline int64_t word_end(const uint8_t *text, int64_t at, int64_t end, uint8_t mark) noexcept nogil:
    while at < end and text[at] != mark:
        at += 1
    return at


cdef inline bint is_same(uint8_t letter, uint8_t other) noexcept nogil:
    """Whether two letters are the same, ignoring case."""
    return (letter ^ other) & ~32 == 0


cdef inline int32_t source_of(uint8_t letter) noexcept nogil:
    cdef int32_t row = row_of_base(letter)
    if row == NO_ROW:
        return NOT_COUNTED
    return row


cdef inline bint are_bases(const uint8_t *text, int64_t length) noexcept nogil:
    """Whether a text is not empty and consists of A, C, G and T, upper or lower case."""
    cdef int64_t i
    for i in range(length):
        if row_of_base(text[i]) == NO_ROW:
            return False
    return length > 0


def count_group(group, const uint8_t[::1] mask not None, Alleles alleles not None, const int64_t[::1] numbers not None,
                const int64_t[::1] lasts not None, int least):
    """Count how many records of a row group have each of some patterns.

    Parameters
    ----------
    group, mask
        The row group, and a byte for each of its records: 1 if it counts.
    alleles
        The alleles that have the patterns.
    numbers, lasts
        Indices of the patterns, and their last positions, sorted, shape (n,).
    least
        Minimum quality of a base that counts. If it is 0, qualities are not read.

    Returns
    -------
    array('i')
        For each pattern, the number of records on the forward and on the reverse strand, shape (2 * n,).

    Raises
    ------
    FormatError
        For damaged columns.
    """
    cdef Reads reads = Reads(group, mask, False, least > 0)
    cdef int64_t visited = 0 if group.reference_id == 0 else -1
    cdef Py_ssize_t i, low = 0
    cdef Read read
    cdef int32_t[::1] table
    made = zeros(alleles, numbers, lasts)
    table = made
    with nogil:
        for i in range(reads.records):
            if reads.mask[i]:
                low = rows_before(&lasts[0], lasts.shape[0], low, reads.pos[i])
                if low < lasts.shape[0] and lasts[low] < reads.end[i]:
                    read = reads.read(i)
                    count_read(alleles, numbers, lasts, low, &read, visited, least, table)
    return made


def count_pile(Pile pile, Alleles alleles not None, const int64_t[::1] numbers not None,
               const int64_t[::1] lasts not None, int least):
    """Like `count_group`, for the reads of a pile, with the qualities that they have there."""
    cdef Py_ssize_t i, low = 0
    cdef int32_t[::1] table
    made = zeros(alleles, numbers, lasts)
    table = made
    with nogil:
        for i in range(pile.count):
            low = rows_before(&lasts[0], lasts.shape[0], low, pile.reads[i].pos)
            count_read(alleles, numbers, lasts, low, &pile.reads[i], pile.least, least, table)
    return made


cdef zeros(Alleles alleles, const int64_t[::1] numbers, const int64_t[::1] lasts):
    cdef Py_ssize_t k
    if not 0 < lasts.shape[0] == numbers.shape[0]:
        raise ValueError(f"{lasts.shape[0]} positions of {numbers.shape[0]} patterns")
    for k in range(numbers.shape[0]):
        if not 0 <= numbers[k] < len(alleles):
            raise ValueError(f"there is no pattern {numbers[k]}")
    return array("i", bytes(8)) * numbers.shape[0]


cdef int count_read(Alleles alleles, const int64_t[::1] numbers, const int64_t[::1] lasts, Py_ssize_t low,
                    const Read *read, int64_t visited, int least, int32_t[::1] table) noexcept nogil:
    """Count one read at the patterns from `low` on. `visited`: the walk visits no position of any read before it."""
    cdef const Pattern *patterns = <const Pattern *> alleles.patterns.data
    cdef const Pattern *pattern
    cdef Run run, other
    cdef Py_ssize_t k = low
    cdef bint reverse = (read.flag & REVERSE) != 0
    if k == lasts.shape[0] or lasts[k] >= read.end or not first_run(&run, read, visited):
        return 0
    while k < lasts.shape[0] and lasts[k] < read.end:
        pattern = &patterns[numbers[k]]
        if pattern.first == pattern.last:
            if not moved(&run, read, pattern.first):
                return 0
            table[2 * k + reverse] += has(pattern, read, run, least)
        elif first_run(&other, read, visited) and moved(&other, read, pattern.first):
            table[2 * k + reverse] += has(pattern, read, other, least)
        k += 1
    return 0


cdef inline bint moved(Run *run, const Read *read, int64_t position) noexcept nogil:
    """Move to the run that is visited at a position, or to the first one after it; False if the read ends before."""
    while run.last <= position:
        if not next_run(run, read):
            return False
    return True


cdef bint has(const Pattern *pattern, const Read *read, Run run, int least) noexcept nogil:
    """Whether a read has a pattern. `run` is the run at the pattern's first position."""
    cdef int64_t at = pattern.first, base, found
    cdef uint8_t code
    cdef Inserted inserted
    cdef int32_t k
    if at < run.first:
        return False
    while True:
        if not is_in(run.operation, MATCHES) or (least > 0 and quality_at(read, &run, at) < least):
            return False
        if pattern.at <= at < <int64_t> pattern.at + pattern.compared:
            base = run.base + at - run.at
            code = code_of(read.seq, base) if base < read.l_seq else <uint8_t> 15
            if code == 0:
                if not pattern.is_reference:
                    return False
            elif not is_same(<uint8_t> BASE_LETTERS[code], pattern.bases[at - pattern.at]):
                return False
        if at == pattern.last:
            break
        at += 1
        if at == run.last and (indel_after(read, &run) or not next_run(&run, read)):
            return False
    if pattern.indel == ANY:
        return True
    found = indel_after(read, &run) if at == run.last - 1 else 0
    if found != pattern.indel or found <= 0:
        return found == pattern.indel
    inserted = inserted_after(read, &run)
    if inserted.length != found or inserted.deleted:
        return False
    base = run.base + run.length
    for k in range(pattern.indel):
        if base + k >= read.l_seq or not is_same(<uint8_t> BASE_LETTERS[code_of(read.seq, base + k)], pattern.bases[k]):
            return False
    return True
