# Measures and writes one run of a read in the lines of a pileup. Everything here is inline and nogil.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from bams3.alleles.walk cimport Inserted, Read, Run, code_of, indel_after, inserted_after, is_in, quality_at
from bams3.bam.fields cimport BASE_LETTERS, INSERTION, MATCHES, REF_SKIP, REVERSE

cdef extern from "bams3/alleles/text.h" nogil:
    const uint8_t LETTERS[2][16]
    const uint8_t CODES[256]
    void fill_letters()
    void count_bases(uint32_t *count, const uint8_t *quality, int64_t length, int least)
    void grade(const uint8_t *quality, int64_t length, int least, uint8_t *printed, uint8_t *passes)
    void unpack_letters(uint8_t *letters, const uint8_t *packed, int64_t pairs, int strand)
    void mark_agreeing(uint8_t *letters, const uint8_t *reference, int64_t length, int strand)
    void put_bases(uint8_t *out, uint64_t *cursor, const uint8_t *letters, const uint8_t *printed,
                   const uint8_t *passes, int64_t length)


cdef struct Options:
    int least                # minimum quality of a base
    bint mapq                # whether there is a column of mapping qualities
    bint places              # whether there is a column of positions in reads
    bint marks_strand        # whether deletions on the reverse strand are #
    const uint8_t *reference
    int64_t reference_start
    int64_t reference_length


cdef struct Window:
    int64_t start
    int64_t stop
    uint32_t *count          # of each position: bases that are printed
    uint64_t *more           # bytes in addition to one letter for each base
    uint32_t *width          # bytes of the column of positions in reads
    int32_t *change          # change of the number of reads from the previous position
    uint64_t *cursor         # where the next letter goes (low half), and the next quality (high half)
    uint32_t *head           # where the line begins
    uint32_t *mapq
    uint32_t *place
    uint8_t *letters         # of a run of one read
    uint8_t *qualities
    uint8_t *printed         # the qualities of the run as they are printed
    uint8_t *passes          # whether each base of the run is printed
    uint8_t *agreeing        # the letters that are printed as . or , on both strands
    uint8_t *out


cdef inline int digits(uint64_t value) noexcept nogil:
    cdef int found = 1
    cdef uint64_t limit = 10
    while value >= limit and found < 19:
        limit *= 10
        found += 1
    return found


cdef inline uint64_t power_of_ten(size_t exponent) noexcept nogil:
    cdef uint64_t power = 1
    for _ in range(exponent):
        power *= 10
    return power


cdef inline uint8_t printed(int quality) noexcept nogil:
    return <uint8_t> (quality + 33 if quality < 93 else 126)


cdef inline void measure(Window *window, const Options *options, const Read *read, const Run *run) noexcept nogil:
    """Count what one run of a read adds to the lines of a window."""
    cdef int64_t start = max(run.first, window.start), stop = min(run.last, window.stop), at, base, known, k
    cdef uint32_t *count = window.count + (start - window.start)
    cdef int least = options.least
    if is_in(run.operation, MATCHES):
        base = run.base + start - run.at
        known = min(max(read.l_seq - base, 0), stop - start)
        if known:
            count_bases(count, read.qual + base, known, least)
        if not least:
            for k in range(known, stop - start):
                count[k] += 1
    else:
        for k in range(stop - start):
            count[k] += quality_at(read, run, start + k) >= least
    if start == read.pos and quality_at(read, run, start) >= least:
        window.more[start - window.start] += 2
    if stop == run.last and quality_at(read, run, stop - 1) >= least:
        window.more[stop - 1 - window.start] += indel_size(read, run) + (stop == read.end)
    if options.places:
        for at in range(start, stop):
            if quality_at(read, run, at) >= least:
                window.width[at - window.start] += digits(place_of(run, at))


cdef inline uint64_t place_of(const Run *run, int64_t position) noexcept nogil:
    """The 1-based position of a base in the read."""
    return <uint64_t> (run.base + (position - run.at if is_in(run.operation, MATCHES) else 0) + 1)


cdef inline uint64_t indel_size(const Read *read, const Run *run) noexcept nogil:
    """The bytes that an insertion or deletion after a run takes in a line."""
    cdef int64_t indel = indel_after(read, run)
    cdef Inserted inserted
    if indel == 0:
        return 0
    if indel < 0:
        return 1 + digits(-indel) - indel
    inserted = inserted_after(read, run)
    return (1 + digits(inserted.length) + inserted.length
            + (1 + digits(inserted.deleted) + inserted.deleted if inserted.deleted else 0))


cdef inline void place(Window *window, const Options *options, const Read *read, const Run *run) noexcept nogil:
    """Write one run of a read into the lines of a window."""
    cdef int64_t start = max(run.first, window.start), stop = min(run.last, window.stop), at, k, length = stop - start
    cdef bint reverse = (read.flag & REVERSE) != 0
    cdef uint64_t *cursor = window.cursor + (start - window.start)
    cdef uint8_t *out = window.out
    cdef uint8_t *letters = window.letters
    cdef uint8_t *qualities = window.qualities
    cdef uint64_t here
    cdef int least = options.least
    if is_in(run.operation, MATCHES):
        letters = read_letters(window, options, read, run, start, stop)
    else:
        memset(letters, (b"<" if reverse else b">") if run.operation == REF_SKIP
               else b"#" if reverse and options.marks_strand else b"*", length)
        for k in range(length):
            qualities[k] = <uint8_t> quality_at(read, run, start + k)
    if start == read.pos and qualities[0] >= least:
        here = <uint32_t> cursor[0]
        out[here] = b"^"
        out[here + 1] = printed(read.mapq)
        cursor[0] += 2
    grade(qualities, length, least, window.printed, window.passes)
    put_bases(out, cursor, letters, window.printed, window.passes, length)
    if options.mapq or options.places:
        for k in range(length):
            if qualities[k] >= least:
                at = start + k - window.start
                if options.mapq:
                    out[window.mapq[at]] = printed(read.mapq)
                    window.mapq[at] += 1
                if options.places:
                    window.place[at] += put_exactly(out + window.place[at], place_of(run, start + k))
                    out[window.place[at]] = b","
                    window.place[at] += 1
    if stop == run.last and qualities[length - 1] >= least:
        put_end(window, options, read, run, stop - 1)


cdef inline uint8_t *read_letters(Window *window, const Options *options, const Read *read, const Run *run, int64_t start,
                           int64_t stop) noexcept nogil:
    """Unpack the letters and qualities of aligned bases; return where the letters begin."""
    cdef int64_t base = run.base + start - run.at, length = stop - start, k
    cdef int64_t known = min(max(read.l_seq - base, 0), length)
    cdef int strand = (read.flag & REVERSE) != 0
    cdef const uint8_t *seq = read.seq + (base >> 1)
    cdef uint8_t *letters = window.letters + (base & 1)
    if known:
        unpack_letters(window.letters, seq, ((base & 1) + known + 1) >> 1, strand)
        memcpy(window.qualities, read.qual + base, known)
    for k in range(known, length):
        letters[k] = LETTERS[strand][15]
        window.qualities[k] = 0
    if options.reference != NULL:
        mark_agreeing(letters, window.agreeing + (start - window.start), length, strand)
    return letters


cdef inline uint32_t put_exactly(uint8_t *out, uint64_t value) noexcept nogil:
    """Write a number without writing beyond its last digit; returns its length."""
    cdef uint32_t length = digits(value), k
    for k in range(length):
        out[length - 1 - k] = <uint8_t> (48 + value % 10)
        value //= 10
    return length


cdef inline void put_end(Window *window, const Options *options, const Read *read, const Run *run, int64_t at) noexcept nogil:
    """Write what follows the last base of a run: an insertion or a deletion, and the mark for the end of the read."""
    cdef uint64_t *cursor = &window.cursor[at - window.start]
    cdef uint8_t *out = window.out + <uint32_t> cursor[0]
    cdef uint8_t *begin = out
    cdef int64_t indel = indel_after(read, run), base
    cdef uint8_t lower = 32 if read.flag & REVERSE else 0
    cdef Inserted inserted
    cdef uint32_t k, i
    if indel > 0:
        inserted = inserted_after(read, run)
        out[0] = b"+"
        out += 1 + put_exactly(out + 1, inserted.length)
        base = run.base + (run.length if is_in(run.operation, MATCHES) else 0)
        for k in range(run.number + 1, inserted.stop):
            for i in range(read.cigar[k] >> 4):
                if read.cigar[k] & 15 != INSERTION:
                    out[0] = b"#" if lower and options.marks_strand else b"*"
                else:
                    out[0] = letter_of(read, base, lower)
                    base += 1
                out += 1
        indel = -inserted.deleted
    if indel < 0:
        out[0] = b"-"
        out += 1 + put_exactly(out + 1, -indel)
        for base in range(at + 1, at + 1 - indel):
            out[0] = reference_letter(options, base, lower)
            out += 1
    if at == read.end - 1:
        out[0] = b"$"
        out += 1
    cursor[0] += out - begin


cdef inline uint8_t letter_of(const Read *read, int64_t base, uint8_t lower) noexcept nogil:
    cdef uint8_t letter = b"N"
    if base < read.l_seq:
        letter = <uint8_t> BASE_LETTERS[code_of(read.seq, base)]
    return letter | lower


cdef inline uint8_t reference_letter(const Options *options, int64_t position, uint8_t lower) noexcept nogil:
    """The base of the reference at a position; N if there is none. `lower` is 32 for lower case, otherwise 0."""
    cdef uint8_t letter = b"N"
    position -= options.reference_start
    if 0 <= position < options.reference_length:
        letter = options.reference[position]
    if b"a" <= letter <= b"z":
        letter -= 32
    return letter + lower if b"A" <= letter <= b"Z" else letter
