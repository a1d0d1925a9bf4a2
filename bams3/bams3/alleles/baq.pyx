"""Base alignment qualities (BAQ; Li, 2011), identical to those of htslib, so each sum has the same order as there.

A hidden Markov model realigns a read to the reference around it, within a band. Each base has a place in this
alignment, and the place has a quality, which is low if the place is uncertain. The quality of the base is lowered to
that of its place.
"""

from libc.math cimport log, pow
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from bams3.alleles.reads cimport Reads
from bams3.alleles.walk cimport Read, code_of, is_in
from bams3.bam.fields cimport MATCHES, QUERY, REFERENCE, REF_SKIP

cdef enum:
    BAND = 7             # least width of the band, on each side
    LONG = 1000          # bases; longer reads are assumed to have few gaps
    AMBIGUOUS = 4
    MOST = 100           # qualities of places are below this
    NO_QUALITY = 255
    OVERFLOW = 0x7FFFFFFF

cdef double INSERTED = .25
cdef double MISMATCHED = .33333333333
cdef float ERRORS[256]   # error probability that each quality means

cdef extern from *:
    """
    static const unsigned char BAMS3_NUMBERS[16] = {4, 0, 1, 4, 2, 4, 4, 4, 3, 4, 4, 4, 4, 4, 4, 4};
    static unsigned char BAMS3_NUMBER_OF[256];
    static void fill_number_of(void) {
        const char *letters = "ACGTU0123", *codes = "\\0\\1\\2\\3\\3\\0\\1\\2\\3";
        memset(BAMS3_NUMBER_OF, 4, 256);
        for (int i = 0; i < 9; i++) {
            BAMS3_NUMBER_OF[(unsigned char) letters[i]] = codes[i];
            if (letters[i] >= 'A') BAMS3_NUMBER_OF[letters[i] | 32] = codes[i];
        }
    }
    """
    const uint8_t NUMBERS "BAMS3_NUMBERS"[16]
    const uint8_t NUMBER_OF "BAMS3_NUMBER_OF"[256]
    void fill_number_of()


cdef void fill_tables():
    cdef int i
    for i in range(256):
        ERRORS[i] = <float> pow(10, -i / 10.)
    fill_number_of()


fill_tables()


cdef struct Cell:
    double match
    double insertion
    double deletion


cdef struct Model:
    const uint8_t *reference
    int bases            # of the reference
    const uint8_t *query
    int length
    const uint8_t *quality
    int band
    size_t width         # cells of a row
    double opening
    double extension


cdef class Room:
    """Memory that grows with the longest read."""

    cdef Cell *forward
    cdef Cell *backward
    cdef double *scale
    cdef uint8_t *bytes
    cdef int32_t *state
    cdef size_t cells, length, span

    def __dealloc__(self):
        free(self.forward)
        free(self.backward)
        free(self.scale)
        free(self.bytes)
        free(self.state)

    cdef int fit(self, size_t cells, size_t length, size_t span) except -1 nogil:
        if cells > self.cells:
            self.forward = <Cell *> grown(self.forward, cells * sizeof(Cell))
            self.backward = <Cell *> grown(self.backward, cells * sizeof(Cell))
            self.cells = cells
        if length > self.length or span > self.span:
            self.length, self.span = max(length, self.length), max(span, self.span)
            self.scale = <double *> grown(self.scale, (self.length + 2) * sizeof(double))
            self.state = <int32_t *> grown(self.state, (self.length + 1) * sizeof(int32_t))
            self.bytes = <uint8_t *> grown(self.bytes, 4 * self.length + self.span + 8)
        return 0


cdef void *grown(void *held, size_t size) except NULL nogil:
    cdef void *found = realloc(held, size)
    if found == NULL:
        with gil:
            raise MemoryError(f"not enough memory to align a read again ({size} bytes)")
    return found


def realign(group, const uint8_t[::1] mask not None, const uint8_t[::1] reference not None, int64_t start):
    """Lower, in place, the qualities of the reads of a row group that `mask` selects (one byte per record).

    `reference` has the bases of the contig from position `start` on, including the surroundings of each read.
    """
    cdef Reads reads = Reads(group, mask, False)
    cdef Room room = Room()
    cdef Read read
    cdef Py_ssize_t i
    with nogil:
        for i in range(reads.records):
            if mask[i]:
                read = reads.read(i)
                if read.l_seq and read.qual[0] != NO_QUALITY:
                    realign_read(room, &read, &reference[0] if reference.shape[0] else NULL, start, reference.shape[0])


cdef int realign_read(Room room, Read *read, const uint8_t *reference, int64_t start, int64_t bases) except -1 nogil:
    cdef int64_t at = read.pos, base = 0, first = -1, last = -1, begin = -1, end = -1, extra, k, length
    cdef int64_t band = BAND
    cdef uint32_t operation
    cdef Model model
    cdef uint8_t *target
    cdef uint8_t *query
    for k in range(read.operations):
        operation, length = read.cigar[k] & 15, read.cigar[k] >> 4
        if operation == REF_SKIP:
            return 0
        if is_in(operation, MATCHES):
            if first < 0:
                first, begin = base, at
            last, end = base + length, at + length
        if is_in(operation, QUERY):
            base += length
        if is_in(operation, REFERENCE):
            at += length
    if first < 0 or base != read.l_seq:
        return 0
    extra = (end - begin) - (last - first)
    extra = extra if extra >= 0 else -extra
    if extra > band:
        band = extra + 3
    begin = max(begin - first - band // 2, 0)
    end += read.l_seq - last + band // 2
    if end - begin - read.l_seq > band:
        begin += (end - begin - read.l_seq - band) // 2
        end -= (end - begin - read.l_seq - band) // 2
    end = min(end, start + bases)
    if begin < start:
        return 0
    if end <= begin:  # past the end of the reference, where no base has a place
        room.fit(0, read.l_seq, 0)
        memset(room.state, 0, read.l_seq * sizeof(int32_t))
        memset(room.bytes, 0, read.l_seq)
        cap(read, room.state, room.bytes, room.length, begin)
        return 0
    model.bases, model.length, model.quality = <int> (end - begin), read.l_seq, read.qual
    model.opening, model.extension = (1e-7 if read.l_seq > LONG else 0.001), 0.1
    model.band = <int> max(min(max(model.bases, model.length), band), abs_(model.bases - model.length))
    model.width = <size_t> min(2 * model.band + 1, model.bases) + 2
    room.fit((<size_t> model.length + 1) * model.width, model.length, model.bases)
    query = room.bytes + 3 * room.length
    target = room.bytes + 4 * room.length
    for k in range(read.l_seq):
        query[k] = NUMBERS[code_of(read.seq, k)]
    for k in range(model.bases):
        target[k] = NUMBER_OF[reference[begin + k - start]]
    model.query, model.reference = query, target
    align(&model, room.forward, room.backward, room.scale, room.state, room.bytes)
    cap(read, room.state, room.bytes, room.length, begin)
    return 0


cdef inline int64_t abs_(int64_t value) noexcept nogil:
    return value if value >= 0 else -value


cdef inline size_t column(const Model *model, int64_t i, int64_t k) noexcept nogil:
    """The cell of base k of the reference in the row of base i of the read. Both are 1-based."""
    return <size_t> (k - max(i - model.band, 0) + 1)


cdef inline void emit(const Model *model, int64_t i, double *emitted) noexcept nogil:
    """Find the emission probability of base i (1-based) of the read for each reference base: A, C, G, T, other."""
    cdef uint8_t base = model.query[i - 1]
    cdef double error = ERRORS[model.quality[i - 1]]
    cdef int k
    for k in range(AMBIGUOUS + 1):
        emitted[k] = 1. if base >= AMBIGUOUS or k == AMBIGUOUS else error * MISMATCHED
    if base < AMBIGUOUS:
        emitted[base] = 1. - error


cdef void align(const Model *model, Cell *forward, Cell *backward, double *scale, int32_t *state,
                uint8_t *place) noexcept nogil:
    """Find, for each base of the read, its most likely place (4 * position, + 1 for an insertion) and its quality."""
    cdef int64_t length = model.length, bases = model.bases, band = model.band, i, k, first, last, u
    cdef double start = 1. / (2 * length + 2)
    cdef double to_match = (1 - model.opening - model.opening) * (1 - start), to_gap = model.opening * (1 - start)
    cdef double from_insertion = (1 - model.extension) * (1 - start), longer_insertion = model.extension * (1 - start)
    cdef double from_deletion = 1 - model.extension, longer_deletion = model.extension
    cdef double enter = (1 - model.opening) / bases, enter_gap = model.opening / bases
    cdef double total, scaled, a, b, c, d, e, likely, best, by_match, by_insertion, keep
    cdef size_t width = model.width
    cdef Cell *row
    cdef Cell *other
    cdef bint inserted
    cdef int32_t best_state
    cdef double emitted[5]
    cdef const uint8_t *reference = model.reference
    memset(forward, 0, (length + 1) * width * sizeof(Cell))
    memset(backward, 0, (length + 1) * width * sizeof(Cell))
    forward[column(model, 0, 0)].match = scale[0] = 1.
    row, total = forward + width, 0.
    emit(model, 1, emitted)
    for k in range(1, min(bases, band + 1) + 1):
        u = column(model, 1, k)
        row[u].match = emitted[reference[k - 1]] * enter
        row[u].insertion = INSERTED * enter_gap
        total += row[u].match + row[u].insertion
    scale[1] = total
    for i in range(2, length + 1):
        first, last = max(i - band, 1), min(i + band, bases)
        row = forward + i * width + column(model, i, first)
        other = forward + (i - 1) * width + column(model, i - 1, first - 1)
        scaled = 1. / scale[i - 1]
        emit(model, i, emitted)
        a, b, c = scaled * to_match, scaled * from_insertion, scaled * from_deletion
        d, e = INSERTED * scaled * to_gap, INSERTED * scaled * longer_insertion
        by_match, by_insertion, total = to_gap * row[0].match, longer_deletion * row[0].deletion, 0.
        for k in range(first, last + 1):
            row[0].match = emitted[reference[k - 1]] * (a * other[0].match + b * other[0].insertion + c * other[0].deletion)
            row[0].insertion = d * other[1].match + e * other[1].insertion
            row[0].deletion = by_match + by_insertion
            total += row[0].match + row[0].insertion + row[0].deletion
            by_match, by_insertion = to_gap * row[0].match, longer_deletion * row[0].deletion
            row += 1
            other += 1
        scale[i] = total
    scaled, total = 1. / scale[length], 0.
    for k in range(1, bases + 1):
        u = k - max(length - band, 0) + 1
        if 1 <= u < <int64_t> width:
            row = forward + length * width + u
            total += scaled * row[0].match * start + scaled * row[0].insertion * start
    scale[length + 1] = total
    for k in range(1, bases + 1):
        u = k - max(length - band, 0) + 1
        if 1 <= u < <int64_t> width:
            row = backward + length * width + u
            row[0].match = row[0].insertion = start / scale[length] / scale[length + 1]
    a, b = INSERTED * to_gap, INSERTED * longer_insertion
    for i in range(length - 1, 0, -1):
        first, last = max(i - band, 1), min(i + band, bases)
        row = backward + i * width + column(model, i, last)
        other = backward + (i + 1) * width + column(model, i + 1, last)
        scaled, keep = 1. / scale[i], (1. if i > 1 else 0.)
        c = row[1].deletion
        emit(model, i + 1, emitted)
        for k in range(last, first - 1, -1):
            e = emitted[reference[k]] * other[1].match if k < bases else 0.
            row[0].insertion = e * from_insertion + b * other[0].insertion
            row[0].match = e * to_match + a * other[0].insertion + to_gap * c
            row[0].deletion = (e * from_deletion + longer_deletion * c) * keep
            c = row[0].deletion
            row[0].insertion *= scaled
            row[0].match *= scaled
            row[0].deletion *= scaled
            row -= 1
            other -= 1
    for i in range(1, length + 1):
        first, last = max(i - band, 1), min(i + band, bases)
        row = forward + i * width + column(model, i, first)
        other = backward + i * width + column(model, i, first)
        scaled, total, best, best_state = 1. / scale[i], 0., 0., -1
        for k in range(first, last + 1):
            by_match = scaled * row[0].match * other[0].match
            by_insertion = scaled * row[0].insertion * other[0].insertion
            inserted = by_insertion > by_match
            likely = by_insertion if inserted else by_match
            if likely > best:
                best, best_state = likely, <int32_t> ((k - 1) << 2 | inserted)
            total += by_match + by_insertion
            row += 1
            other += 1
        state[i - 1] = best_state
        likely = -4.343 * log(1. - best / total) + .499
        place[i - 1] = 0 if not likely < OVERFLOW else MOST - 1 if likely >= MOST + 1 else <uint8_t> likely


cdef void cap(Read *read, const int32_t *state, uint8_t *place, size_t room, int64_t begin) noexcept nogil:
    """Lower the qualities of aligned bases to those of their places.

    The quality of a place is 0 if the most likely place of the base differs from the one in the CIGAR. In each stretch
    of aligned bases, the quality of a place is then replaced by the lower of two maxima: of the places up to it, and of
    the places from it on.
    """
    cdef uint8_t *left = place + room
    cdef uint8_t *right = place + 2 * room
    cdef int64_t at = read.pos, base = 0, length, joined = 0, k, i
    cdef uint32_t operation
    for k in range(read.operations):
        operation, length = read.cigar[k] & 15, read.cigar[k] >> 4
        if is_in(operation, MATCHES):
            joined += length
            if k + 1 < read.operations and is_in(read.cigar[k + 1], MATCHES):
                continue
            length, joined = joined, 0
            for i in range(base, base + length):
                if state[i] & 3 or state[i] >> 2 != at - begin + (i - base):
                    place[i] = 0
                left[i] = max(place[i], left[i - 1]) if i > base else place[i]
            for i in range(base + length - 1, base - 1, -1):
                right[i] = max(place[i], right[i + 1]) if i < base + length - 1 else place[i]
                read.qual[i] = min(read.qual[i], min(left[i], right[i]))
        if is_in(operation, QUERY):
            base += length
        if is_in(operation, REFERENCE):
            at += length
