"""Lines of a table, or of a VCF, of what was counted at sites."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from bams3.alleles.counts cimport DELETIONS, NO_ROW, REVERSED, WIDTH, row_of_base
from bams3.buffer cimport Buffer
from bams3.decimal cimport put_unsigned

cdef enum:
    TAB = 9
    NEWLINE = 10
    COMMA = 44
    DOT = 46
    COLON = 58
    ROOM = 32           # for a number and what `put_unsigned` writes behind it

HEAD = ("contig", "pos", "ref", "alt", "sample", "depth")
BASES = "ACGTN*"


def columns(bint strands):
    """The names of a table's columns."""
    return (*HEAD, *BASES, *(("a", "c", "g", "t", "n", "#", "ADF", "ADR") if strands else ("AD",)))


cdef struct Text:
    const uint8_t *at
    int64_t length


cdef struct Alleles:        # of a site: ID, and REF and ALT, with a tab between them
    Text id
    Text alleles
    Py_ssize_t ref_length


cdef class SiteLines:
    """Makes lines. `contigs`: names; `samples`: the names of the samples whose counts are printed."""

    cdef list held
    cdef Text *names            # of contigs, and of samples behind them
    cdef Py_ssize_t contigs, samples
    cdef bint strands, vcf

    def __cinit__(self, contigs, samples, *, bint strands=False, bint vcf=False):
        cdef bytes name
        self.held = [each.encode("utf-8", "surrogateescape") for each in (*contigs, *samples)]
        self.contigs, self.samples, self.strands, self.vcf = len(contigs), len(samples), strands, vcf
        self.names = <Text *> calloc(len(self.held) + 1, sizeof(Text))
        if self.names == NULL:
            raise MemoryError(f"not enough memory for {len(self.held)} names")
        for i, name in enumerate(self.held):
            self.names[i] = Text(<const uint8_t *> <const char *> name, len(name))

    def __dealloc__(self):
        free(self.names)

    def of(self, const int32_t[::1] contig not None, const int64_t[::1] position not None,
           const uint8_t[::1] text not None, const int64_t[::1] text_ends not None, list counts not None,
           Py_ssize_t first, Py_ssize_t last):
        """Return the lines of the sites [first, last), bytes-like. `counts`: array('i') of each sample."""
        cdef Buffer out = Buffer()
        cdef Py_ssize_t i, sample
        cdef int64_t begin
        cdef Alleles alleles
        cdef const int32_t[::1] table
        cdef const int32_t **tables
        cdef const int32_t *found
        if not 0 <= first <= last <= position.shape[0] == contig.shape[0] == text_ends.shape[0]:
            raise ValueError(f"there are no sites from {first} to {last}")
        if len(counts) != self.samples:
            raise ValueError(f"counts of {len(counts)} samples, not {self.samples}")
        tables = <const int32_t **> calloc(self.samples + 1, sizeof(int32_t *))
        if tables == NULL:
            raise MemoryError(f"not enough memory for {self.samples} samples")
        try:
            for sample, table in enumerate(counts):
                if table.shape[0] != WIDTH * position.shape[0]:
                    raise ValueError(f"{table.shape[0]} counts of {position.shape[0]} sites")
                tables[sample] = &table[0] if table.shape[0] else NULL
            with nogil:
                for i in range(first, last):
                    begin = text_ends[i - 1] if i else 0
                    alleles = split_text(&text[begin], text_ends[i] - begin)
                    if self.vcf:
                        put_place(out, &self.names[contig[i]], position[i])
                        out.put(&text[begin], text_ends[i] - begin)
                        out.put(b"\t.\t.\t.\tDP:AD:ADF:ADR", 20)
                    for sample in range(self.samples):
                        found = tables[sample] + WIDTH * i
                        if self.vcf:
                            out.put_u8(TAB)
                            put_number(out, depth_of(found))
                            put_alleles(out, found, &alleles, True, True, COLON)
                            put_alleles(out, found, &alleles, True, False, COLON)
                            put_alleles(out, found, &alleles, False, True, COLON)
                            continue
                        put_place(out, &self.names[contig[i]], position[i])
                        out.put(alleles.alleles.at, alleles.alleles.length)
                        out.put_u8(TAB)
                        out.put(self.names[self.contigs + sample].at, self.names[self.contigs + sample].length)
                        out.put_u8(TAB)
                        put_number(out, depth_of(found))
                        put_counts(out, found, self.strands)
                        if self.strands:
                            put_alleles(out, found, &alleles, True, False, TAB)
                            put_alleles(out, found, &alleles, False, True, TAB)
                        else:
                            put_alleles(out, found, &alleles, True, True, TAB)
                        out.put_u8(NEWLINE)
                    if self.vcf:
                        out.put_u8(NEWLINE)
        finally:
            free(tables)
        return out


cdef inline Alleles split_text(const uint8_t *text, int64_t length) noexcept nogil:
    """Split the text of a site, ID, REF and ALT, at its tabs."""
    cdef Alleles found
    cdef int64_t at = 0, begin
    while at < length and text[at] != TAB:
        at += 1
    found.id = Text(text, at)
    begin = min(at + 1, length)
    found.alleles = Text(text + begin, length - begin)
    found.ref_length = 0
    while found.ref_length < found.alleles.length and found.alleles.at[found.ref_length] != TAB:
        found.ref_length += 1
    return found


cdef inline int put_number(Buffer out, uint64_t value) except -1 nogil:
    out.reserve(ROOM)
    out.size = put_unsigned(out.data + out.size, value) - out.data
    return 0


cdef inline int put_place(Buffer out, const Text *contig, int64_t position) except -1 nogil:
    out.put(contig.at, contig.length)
    out.put_u8(TAB)
    put_number(out, position + 1)
    return out.put_u8(TAB)


cdef inline int32_t depth_of(const int32_t *counts) noexcept nogil:
    """The number of bases; deletions are none."""
    cdef int32_t depth = 0
    cdef int i
    for i in range(DELETIONS):
        depth += counts[i]
    return depth


cdef inline int put_counts(Buffer out, const int32_t *counts, bint strands) except -1 nogil:
    """Put the counts of bases and deletions: of both strands, or of the forward one and then of the reverse one."""
    cdef int strand, i
    for strand in range(1 + strands):
        for i in range(REVERSED):
            out.put_u8(TAB)
            put_number(out, counts[REVERSED * strand + i] + (0 if strands else counts[REVERSED + i]))
        out.put_u8(TAB)
        put_number(out, counts[DELETIONS + strand] + (0 if strands else counts[DELETIONS + 1]))
    return 0


cdef inline int put_alleles(Buffer out, const int32_t *counts, const Alleles *alleles, bint forward, bint reverse,
                            uint8_t before) except -1 nogil:
    """Put the count of each allele: of REF, and of each ALT but ".". It is "." for alleles that are not one base."""
    cdef const uint8_t *at = alleles.alleles.at
    cdef const uint8_t *end = at + alleles.alleles.length
    cdef const uint8_t *begin = at
    cdef bint one_base = alleles.ref_length == 1, is_first = True
    cdef uint8_t row
    out.put_u8(before)
    while True:
        if at < end and at[0] != TAB and at[0] != COMMA:
            at += 1
            continue
        if is_first or at - begin != 1 or begin[0] != DOT:
            if not is_first:
                out.put_u8(COMMA)
            row = row_of_base(begin[0]) if one_base and at - begin == 1 else <uint8_t> NO_ROW
            if row == NO_ROW:
                out.put_u8(DOT)
            else:
                put_number(out, (counts[row] if forward else 0) + (counts[REVERSED + row] if reverse else 0))
        is_first = False
        if at >= end:
            return 0
        at += 1
        begin = at
