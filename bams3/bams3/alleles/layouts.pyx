# Compiled with -O1: no run spends its time here.
"""Counts at sites as lines of text, in the formats of bam-readcount, alleleCounter and GATK's CollectAllelicCounts."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from bams3.alleles.counts cimport NO_ROW, OTHER, REVERSED, WIDTH, row_of_base
from bams3.alleles.lines cimport NEWLINE, TAB, Text, depth_of, put_number, put_place, word_of
from bams3.buffer cimport Buffer

cdef enum:
    COLON = 58
    LOWER = 32

cdef enum:
    READCOUNT_KIND
    COUNTER_KIND
    COLLECT_KIND

cdef const char *LETTERS = "ACGTN"

BAM_READCOUNT, ALLELE_COUNTER, COLLECT_ALLELIC_COUNTS = READCOUNT_KIND, COUNTER_KIND, COLLECT_KIND


def layout_lines(int kind, list contigs not None, const int32_t[::1] contig not None,
                 const int64_t[::1] position not None, const uint8_t[::1] text not None,
                 const int64_t[::1] text_ends not None, const int32_t[::1] counts not None,
                 Py_ssize_t first, Py_ssize_t last):
    """Return the lines of the sites [first, last) of one sample, bytes-like.

    `kind` is the format. `contigs` has names as bytes; the other arrays are those of `known.Sites` and `SiteCounts`.
    """
    cdef Buffer out = Buffer()
    cdef Buffer names = Buffer()
    cdef bytes name
    cdef Py_ssize_t i
    cdef int64_t begin
    cdef Text word
    cdef uint8_t ref
    if not 0 <= first <= last <= position.shape[0] == contig.shape[0] == text_ends.shape[0]:
        raise ValueError(f"there are no sites from {first} to {last}")
    if counts.shape[0] != WIDTH * position.shape[0]:
        raise ValueError(f"{counts.shape[0]} counts of {position.shape[0]} sites")
    for name in contigs:
        word = Text(<const uint8_t *> <const char *> name, len(name))
        names.put(&word, sizeof(Text))
    with nogil:
        for i in range(first, last):
            begin = text_ends[i - 1] if i else 0
            word = word_of(&text[begin], text_ends[i] - begin, 1)
            ref = word.at[0] & ~LOWER if word.length and word.at[0] > 64 else <uint8_t> 78
            put_line(out, kind, <const Text *> names.data + contig[i], position[i], ref, &counts[WIDTH * i])
    return out


cdef inline int put_line(Buffer out, int kind, const Text *contig, int64_t position, uint8_t ref,
                         const int32_t *counts) except -1 nogil:
    cdef int32_t depth = depth_of(counts), of_ref, most = 0, total
    cdef uint8_t row = row_of_base(ref)
    cdef int i, alt = OTHER
    if kind == COLLECT_KIND and row == NO_ROW:
        return 0
    if kind == READCOUNT_KIND and depth == 0:
        return 0
    put_place(out, contig, position)
    if kind == READCOUNT_KIND:
        out.put_u8(ref)
        out.put_u8(TAB)
        put_number(out, depth)
        put_statistics(out, b"=", 0, 0)
        for i in range(REVERSED):
            put_statistics(out, <uint8_t> LETTERS[i], counts[i], counts[REVERSED + i])
    elif kind == COUNTER_KIND:
        total = 0
        for i in range(OTHER):
            put_number(out, both(counts, i))
            out.put_u8(TAB)
            total += both(counts, i)
        put_number(out, total)
    else:
        of_ref, total = both(counts, row), 0
        for i in range(OTHER):
            total += both(counts, i)
            if i != row and both(counts, i) > most:
                most, alt = both(counts, i), i
        put_number(out, of_ref)
        out.put_u8(TAB)
        put_number(out, total - of_ref)
        out.put_u8(TAB)
        out.put_u8(ref)
        out.put_u8(TAB)
        out.put_u8(<uint8_t> LETTERS[alt])
    return out.put_u8(NEWLINE)


cdef inline int32_t both(const int32_t *counts, int row) noexcept nogil:
    """The number of bases of a row, on both strands."""
    return counts[row] + counts[REVERSED + row]


cdef inline int put_statistics(Buffer out, uint8_t base, int32_t forward, int32_t reverse) except -1 nogil:
    """Append bam-readcount's numbers for a base: number of reads, three means, reads by strand, seven statistics.

    Numbers that bams3 does not compute are nan, or 0 if there are no reads.
    """
    out.put_u8(TAB)
    out.put_u8(base)
    out.put_u8(COLON)
    if forward + reverse == 0:
        return out.put(b"0:0.00:0.00:0.00:0:0:0.00:0.00:0.00:0:0.00:0.00:0.00", 52)
    put_number(out, forward + reverse)
    out.put(b":nan:nan:nan:", 13)
    put_number(out, forward)
    out.put_u8(COLON)
    put_number(out, reverse)
    return out.put(b":nan:nan:nan:nan:nan:nan:nan", 28)
