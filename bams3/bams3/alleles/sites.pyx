# Compiled with -O1: no run spends its time here.
"""Sites from the lines of a VCF, a BED file, or a table of positions, as columns."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

from bams3.alleles.counts cimport NO_ROW, row_of_base
from bams3.bam.intervals cimport FIELDS, BedReader, Field, interval, number, split
from bams3.buffer cimport Buffer

from array import array

cdef enum:
    HASH = 35        # "#" begins a comment
    DOT = 46
    TAB = 9
    LAST = 0x7FFFFFFF  # greatest position, 1-based

cdef enum:           # kinds of files; TABLE: contig, position (1-based), and optionally REF and ALT
    BED_KIND
    VCF_KIND
    TABLE_KIND

BED, VCF, TABLE = BED_KIND, VCF_KIND, TABLE_KIND


cdef class SiteReader(BedReader):
    """Parses the sites of a file. If a site has no ID, REF or ALT, it gets "." instead.

    Attributes
    ----------
    kind
        BED, VCF or TABLE.
    lengths
        Lengths of contigs by name. Intervals are clipped to them.
    first_lines
        The first line on which each contig occurs.
    count
        The number of sites that are held: parsed, and not yet removed by `take`.
    past, first_past
        The number of sites past the ends of their contigs, and the line of the first one. (Intervals are clipped.)
    """

    cdef public int kind
    cdef public dict lengths
    cdef list ends                  # lengths of the contigs that have occurred
    cdef readonly list first_lines
    cdef readonly int64_t count     # of sites that are held
    cdef readonly int64_t past, first_past
    cdef Buffer texts, text_ends    # ID, REF and ALT of each line, separated by tabs
    cdef Py_ssize_t row             # the next site: its line, and (`offset`) its position in the line's interval
    cdef int64_t offset

    def __cinit__(self):
        self.first_lines, self.ends, self.lengths = [], [], {}
        self.texts, self.text_ends = Buffer(), Buffer(width=8)

    cdef bint line(self, const unsigned char *line, Py_ssize_t length) except -1:
        cdef Field fields[FIELDS]
        cdef Field dot = Field(<const unsigned char *> b".", 1)
        cdef Field *name = &dot
        cdef Field *ref = &dot
        cdef Field *alt = &dot
        cdef int64_t start = 0, end = 0
        cdef int count = split(line, length, fields)
        cdef int32_t contig
        if count == 0 or fields[0].at[0] == HASH:
            return not (self.kind == TABLE_KIND and count and begins_vcf(fields, count))
        if self.kind == BED_KIND:
            if not interval(fields, count, &start, &end) or count < 3:
                return (<const char *> fields[0].at)[:fields[0].length] in (b"track", b"browser")
        else:
            start = number(&fields[1]) - 1 if count > 1 else -1
            end = start + 1
            if start < 0 or (self.kind == VCF_KIND and count < 5):
                return False
            if self.kind == VCF_KIND:
                name, ref, alt = &fields[2], &fields[3], &fields[4]
            elif count > 3:
                ref, alt = &fields[2], &fields[3]
            elif count == 3 and number(&fields[2]) not in (-1, start + 1):  # an interval; this is probably a BED file
                return False
            if not is_sequence(ref, self.kind == TABLE_KIND):
                return False
        if end > LAST and self.kind != BED_KIND:
            return False
        contig = self.id_of(&fields[0])
        if len(self.contigs) > len(self.first_lines):
            self.first_lines.append(self.lines)
            self.ends.append(self.lengths.get(self.contigs[contig], LAST))
        if self.kind == BED_KIND:
            end = min(end, <int64_t> self.ends[contig])
            start = min(start, end)
        elif start >= <int64_t> self.ends[contig]:
            self.first_past = self.first_past or self.lines
            self.past += 1
        self.contig.put_u32(<uint32_t> contig)
        self.start.put_u64(<unsigned long long> start)
        self.end.put_u64(<unsigned long long> end)
        self.texts.put(name.at, name.length)
        self.texts.put_u8(TAB)
        self.texts.put(ref.at, ref.length)
        self.texts.put_u8(TAB)
        self.texts.put(alt.at, alt.length)
        self.text_ends.put_u64(self.texts.size)
        self.count += end - start
        return True

    def take(self, Py_ssize_t most):
        """Remove and return the next sites, at most `most`.

        Returns
        -------
        contig, position
            Index of each site's contig in `contigs`, array('i'), and its 0-based position, array('q').
        text, text_ends
            ID, REF and ALT of each site, separated by tabs, and where they end, array('q').
        ref
            The row of REF in counts (see `row_of_base`), one byte each.
        """
        cdef Buffer contig = Buffer(width=4), position = Buffer(width=8), texts = Buffer(), ends = Buffer(width=8)
        cdef Buffer refs = Buffer()
        cdef const int32_t *of_line = <const int32_t *> self.contig.data
        cdef const int64_t *starts = <const int64_t *> self.start.data
        cdef const int64_t *stops = <const int64_t *> self.end.data
        cdef const int64_t *text_ends = <const int64_t *> self.text_ends.data
        cdef Py_ssize_t lines = <Py_ssize_t> self.contig.size // 4, made = 0
        cdef int64_t begin
        with nogil:
            while made < most and self.row < lines:
                if starts[self.row] + self.offset >= stops[self.row]:
                    self.row += 1
                    self.offset = 0
                    continue
                begin = text_ends[self.row - 1] if self.row else 0
                contig.put_u32(<uint32_t> of_line[self.row])
                position.put_u64(<unsigned long long> (starts[self.row] + self.offset))
                refs.put_u8(row_of_ref(self.texts.data + begin, text_ends[self.row] - begin))
                texts.put(self.texts.data + begin, text_ends[self.row] - begin)
                ends.put_u64(texts.size)
                self.offset += 1
                made += 1
        self.count -= made
        if self.row == lines:
            self.contig.size = self.start.size = self.end.size = self.texts.size = self.text_ends.size = 0
            self.row = 0
        return column("i", contig), column("q", position), bytes(texts), column("q", ends), bytes(refs)


cdef bint begins_vcf(const Field *fields, int count) noexcept nogil:
    """Whether a comment is the first line of a VCF, or the one with the names of its columns. (As a table, a VCF would
    have its IDs taken for REF.)"""
    if fields[0].length >= 16 and memcmp(fields[0].at, b"##fileformat=VCF", 16) == 0:
        return True
    return (
        count > 2 and fields[0].length == 6 and memcmp(fields[0].at, b"#CHROM", 6) == 0
        and fields[2].length == 2 and memcmp(fields[2].at, b"ID", 2) == 0
    )


cdef bint is_sequence(const Field *ref, bint may_lack) noexcept nogil:
    """Whether REF consists of letters, or is missing and may be missing (`may_lack`)."""
    cdef Py_ssize_t i
    if ref.length == 1 and ref.at[0] == DOT:
        return may_lack
    for i in range(ref.length):
        if not 65 <= ref.at[i] & ~32 <= 90:
            return False
    return True


cdef uint8_t row_of_ref(const unsigned char *text, int64_t length) noexcept nogil:
    """The row of the first base of REF, which is the second of the words of `text`, separated by tabs."""
    cdef int64_t i
    for i in range(length - 2):
        if text[i] == TAB:
            return row_of_base(text[i + 1])
    return NO_ROW


cdef column(code, buffer):
    made = array(code)
    made.frombytes(buffer)
    return made
