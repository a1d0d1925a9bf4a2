# Compiled with -O1: no run spends its time here.
"""Counts at sites as lines of a table or of a VCF."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free

from bams3.alleles.counts cimport DELETIONS, REVERSED, WIDTH
from bams3.alleles.lines cimport NEWLINE, TAB, Text, depth_of, put_number, put_place, word_of
from bams3.alleles.variants cimport NOT_COUNTED, Alleles
from bams3.buffer cimport Buffer

cdef enum:
    COMMA = 44
    DOT = 46
    COLON = 58

HEAD = ("contig", "pos", "ref", "alt", "sample", "depth")
BASES = "ACGTN*"


def columns(bint strands):
    """The names of a table's columns."""
    return (*HEAD, *BASES, *(("a", "c", "g", "t", "n", "#", "ADF", "ADR") if strands else ("AD",)))


cdef struct Tables:             # the counts of a sample
    const int32_t *sites
    const int32_t *patterns


cdef class SiteLines:
    """Makes lines. `contigs` and `samples` are names; the counts of these samples are printed."""

    cdef list held
    cdef Text *names            # of the contigs, followed by those of the samples
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
           const uint8_t[::1] text not None, const int64_t[::1] text_ends not None, Alleles alleles not None,
           list counts not None, Py_ssize_t first, Py_ssize_t last):
        """Return the lines of the sites [first, last), bytes-like.

        `contig` to `text_ends` are columns of all sites, as in `known.Sites`. `counts` has a pair for each sample: the
        counts of the sites, and those of the patterns of their alleles, both array('i').
        """
        cdef Buffer out = Buffer()
        cdef Py_ssize_t i, sample
        cdef int64_t begin, length
        cdef Text ref_alt
        cdef const int32_t[::1] of_sites, of_patterns
        cdef Tables *tables
        cdef const int32_t *found
        if not 0 <= first <= last <= position.shape[0] == contig.shape[0] == text_ends.shape[0] == alleles.sites:
            raise ValueError(f"there are no sites from {first} to {last}")
        if len(counts) != self.samples:
            raise ValueError(f"counts of {len(counts)} samples, not {self.samples}")
        tables = <Tables *> calloc(self.samples + 1, sizeof(Tables))
        if tables == NULL:
            raise MemoryError(f"not enough memory for {self.samples} samples")
        try:
            for sample, (of_sites, of_patterns) in enumerate(counts):
                if of_sites.shape[0] != WIDTH * position.shape[0] or of_patterns.shape[0] != 2 * len(alleles):
                    raise ValueError(f"{of_sites.shape[0]}, {of_patterns.shape[0]} counts of {position.shape[0]} sites")
                tables[sample].sites = &of_sites[0] if of_sites.shape[0] else NULL
                tables[sample].patterns = &of_patterns[0] if of_patterns.shape[0] else NULL
            with nogil:
                for i in range(first, last):
                    begin = text_ends[i - 1] if i else 0
                    length = text_ends[i] - begin
                    if self.vcf:
                        put_place(out, &self.names[contig[i]], position[i])
                        out.put(&text[begin], length)
                        out.put(b"\t.\t.\t.\tDP:AD:ADF:ADR", 20)
                    ref_alt = word_of(&text[begin], length, 1)
                    ref_alt.length = &text[begin] + length - ref_alt.at
                    for sample in range(self.samples):
                        found = tables[sample].sites + WIDTH * i
                        if self.vcf:
                            out.put_u8(TAB)
                            put_number(out, depth_of(found))
                            put_alleles(out, alleles, i, found, tables[sample].patterns, True, True, COLON)
                            put_alleles(out, alleles, i, found, tables[sample].patterns, True, False, COLON)
                            put_alleles(out, alleles, i, found, tables[sample].patterns, False, True, COLON)
                            continue
                        put_place(out, &self.names[contig[i]], position[i])
                        out.put(ref_alt.at, ref_alt.length)
                        out.put_u8(TAB)
                        out.put(self.names[self.contigs + sample].at, self.names[self.contigs + sample].length)
                        out.put_u8(TAB)
                        put_number(out, depth_of(found))
                        put_counts(out, found, self.strands)
                        if self.strands:
                            put_alleles(out, alleles, i, found, tables[sample].patterns, True, False, TAB)
                            put_alleles(out, alleles, i, found, tables[sample].patterns, False, True, TAB)
                        else:
                            put_alleles(out, alleles, i, found, tables[sample].patterns, True, True, TAB)
                        out.put_u8(NEWLINE)
                    if self.vcf:
                        out.put_u8(NEWLINE)
        finally:
            free(tables)
        return out


cdef inline int put_counts(Buffer out, const int32_t *counts, bint strands) except -1 nogil:
    """Append the counts of bases and deletions: on both strands together, or on the forward and then the reverse
    strand."""
    cdef int strand, i
    for strand in range(1 + strands):
        for i in range(REVERSED):
            out.put_u8(TAB)
            put_number(out, counts[REVERSED * strand + i] + (0 if strands else counts[REVERSED + i]))
        out.put_u8(TAB)
        put_number(out, counts[DELETIONS + strand] + (0 if strands else counts[DELETIONS + 1]))
    return 0


cdef inline int put_alleles(Buffer out, Alleles alleles, Py_ssize_t site, const int32_t *of_site,
                            const int32_t *of_patterns, bint forward, bint reverse, uint8_t before) except -1 nogil:
    """Append the count of each allele of a site, "." for alleles that are not counted."""
    cdef int64_t allele
    cdef int32_t count
    for allele in range(alleles.first(site), alleles.first(site + 1)):
        out.put_u8(before)
        before = COMMA
        count = alleles.count(allele, of_site, of_patterns, not forward)
        if forward and reverse and count != NOT_COUNTED:
            count += alleles.count(allele, of_site, of_patterns, True)
        if count == NOT_COUNTED:
            out.put_u8(DOT)
        else:
            put_number(out, count)
    return 0
