"""Where reads differ from a reference genome."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from bams3.alleles.reads cimport Reads
from bams3.alleles.walk cimport Read, code_of, is_in
from bams3.bam.fields cimport MATCHES, UNMAP

cdef enum:
    SOFT_CLIP_OP = 4
    HARD_CLIP_OP = 5
    NONE = 0x7FFFFFFF

NO_READ = NONE


cdef extern from *:
    """
    static unsigned char bams3_code_of_letter(unsigned char letter) {
        switch (letter & ~32) {
            case 'A': return 1;
            case 'C': return 2;
            case 'G': return 4;
            case 'T': return 8;
            default: return 255;
        }
    }
    """
    uint8_t code_of_letter "bams3_code_of_letter"(uint8_t letter) noexcept nogil


def mark_differences(group, const uint8_t[::1] bases not None, int64_t start, uint8_t[::1] marks not None,
                     int32_t[::1] changes not None, int32_t[::1] shortest not None):
    """Mark where the mapped reads of a row group differ from a reference, and note where the reads lie.

    Parameters
    ----------
    group
        The row group.
    bases
        Letters of the reference from position `start` on, shape (n,).
    start
        0-based position of the first element of all arrays.
    marks
        Set to 1 at each position where a read has a different base than the reference, or where a read covers a
        reference letter other than A, C, G and T; also at all positions of a read whose CIGAR has anything but matches
        and clips, or does not fit its bases. Shape (n,).
    changes
        The difference between the depth at each position and at the previous one is added. Shape (n + 1,).
    shortest
        The least end of the reads that begin at each position, relative to `start` and at most n. It must be NO_READ at
        first, and remains so where no read begins. Shape (n,).

    Raises
    ------
    FormatError
        For damaged columns.
    """
    cdef Reads reads = Reads(group, bytes(group.records), False, False)
    cdef Read read
    cdef Py_ssize_t i, length = marks.shape[0]
    cdef int64_t first, last, at, base
    if not bases.shape[0] == changes.shape[0] - 1 == shortest.shape[0] == length:
        raise ValueError(f"{length} marks do not fit {bases.shape[0]} bases and {changes.shape[0]} changes")
    with nogil:
        for i in range(reads.records):
            if reads.flag[i] & UNMAP:
                continue
            read = reads.read(i)
            first, last = read.pos - start, min(max(read.end, read.pos + 1) - start, length)
            if 0 <= first < last:
                shortest[first] = min(shortest[first], <int32_t> last)
            first, last = max(first, 0), min(read.end - start, length)
            if first >= last:
                continue
            changes[first] += 1
            changes[last] -= 1
            base = first_base(&read)
            if base < 0:
                for at in range(first, last):
                    marks[at] = 1
                continue
            base -= read.pos - start
            for at in range(first, last):
                marks[at] |= code_of(read.seq, base + at) != code_of_letter(bases[at])


def mark_a_position_of_each_read(uint8_t[::1] marks not None, const int32_t[::1] shortest not None,
                                 Py_ssize_t first, Py_ssize_t last):
    """Mark positions in [first, last) until each read that overlaps it has one. `shortest` is as above; indices are
    relative to `start`."""
    cdef Py_ssize_t at, marked = last
    if not 0 <= first < last <= marks.shape[0] == shortest.shape[0]:
        raise ValueError(f"{marks.shape[0]} marks for [{first}, {last})")
    with nogil:
        for at in range(last - 1, first - 1, -1):
            if not marks[at] and shortest[at] != NONE and min(<Py_ssize_t> shortest[at], last) <= marked:
                marks[at] = 1
            if marks[at]:
                marked = at
        marks[first] = 1  # for reads that begin before it


cdef int64_t first_base(const Read *read) noexcept nogil:
    """Index of the first aligned base; -1 if the CIGAR has more than matches and clips, or does not fit the bases."""
    cdef int64_t matched = 0, before = 0, after = 0, length
    cdef uint32_t k, operation
    for k in range(read.operations):
        operation, length = read.cigar[k] & 15, read.cigar[k] >> 4
        if is_in(operation, MATCHES) and length and not after:
            matched += length
        elif operation == SOFT_CLIP_OP and not matched:
            before += length
        elif operation == SOFT_CLIP_OP:
            after += length
        elif operation != HARD_CLIP_OP:
            return -1
    return before if before + matched + after == read.l_seq and read.end - read.pos == matched else -1
