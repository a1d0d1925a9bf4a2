# Compiled with -O1: no run spends its time here.
"""Kernels for millions of intervals: parse the lines of a BED file, sort intervals, merge them.

A column is an ``array``: reference ids have type code 'i', positions 'q'. Positions are 0-based half-open.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcmp

from bams3.buffer cimport Buffer

from array import array


cdef struct Row:
    uint32_t reference_id  # unsigned, so that -1 sorts last
    int64_t start, end, row


cdef inline bint is_blank(unsigned char c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return 48 <= c <= 57


cdef int split(const unsigned char *line, Py_ssize_t length, Field *fields) noexcept nogil:
    """Split off the first words of a line; returns the number of words."""
    cdef Py_ssize_t at = 0, start
    cdef int count = 0
    while count < FIELDS:
        while at < length and is_blank(line[at]):
            at += 1
        if at == length:
            break
        start = at
        while at < length and not is_blank(line[at]):
            at += 1
        fields[count].at, fields[count].length = line + start, at - start
        count += 1
    return count


cdef int64_t number(const Field *field) noexcept nogil:
    """The value of a word; -1 if it is not a number or has too many digits."""
    cdef int64_t value = 0
    cdef Py_ssize_t i
    if field.length > MAX_DIGITS:
        return -1
    for i in range(field.length):
        if not is_digit(field.at[i]):
            return -1
        value = 10 * value + field.at[i] - 48
    return value


cdef bint interval(const Field *fields, int count, int64_t *start, int64_t *end) noexcept nogil:
    """Parse the interval of a line; returns False if it has none. A contig and one number mean one 1-based position."""
    if count < 2:
        return False
    start[0] = number(&fields[1])
    if count == 2 or not (is_digit(fields[2].at[0]) or fields[2].at[0] in (43, 45)):
        end[0] = start[0]
        start[0] -= 1
        return start[0] >= 0
    end[0] = number(&fields[2])
    return 0 <= start[0] <= end[0]


cdef Field label(const unsigned char *line, Py_ssize_t length, const Field *fields, int count) noexcept nogil:
    """The name on a line: the fourth tab-separated column, including blanks; without tabs, the fourth word."""
    cdef Field found
    cdef Py_ssize_t at, start = 0
    cdef int tabs = 0
    for at in range(length):
        if line[at] == 9:
            tabs += 1
            if tabs == 3:
                start = at + 1
            elif tabs == 4:
                break
    else:
        at = length
    if tabs >= 3:
        found.at, found.length = line + start, at - start
    elif count > 3:
        found = fields[3]
    else:
        found.at, found.length = line, 0
    return found


cdef class BedReader:
    """Parses the intervals of a BED file as samtools does, from portions of its text.

    ``contigs`` has each contig name once; ``lines`` is the number of lines read so far. The names of the intervals are
    kept only if ``names``.
    """

    def __cinit__(self, bint names=False):
        self.contigs, self.ids, self.labels = [], {}, []
        self.keeps_names, self.named = names, False
        self.contig, self.start, self.end = Buffer(width=4), Buffer(width=8), Buffer(width=8)
        self.last, self.last_id = b"", -1
        self.lines = 0

    def columns(self):
        """Columns of the intervals: index of the contig in ``contigs``, start, and end."""
        return tuple(
            _column(code, buffer)
            for code, buffer in (("i", self.contig), ("q", self.start), ("q", self.end))
        )

    def names(self):
        """The name of each interval, b"" if it has none; None if no interval has a name."""
        return self.labels if self.named else None

    def feed(self, const unsigned char[::1] text not None):
        """Parse lines; the text must end at the end of a line. Returns False at a line that is neither an interval nor
        skipped; its number is ``lines``."""
        cdef Py_ssize_t at = 0, end, size = text.shape[0]
        while at < size:
            end = at
            while end < size and text[end] != 10 and text[end] != 13:
                end += 1
            self.lines += 1
            if not self.line(&text[at] if end > at else NULL, end - at):
                return False
            at = end + (2 if end + 1 < size and text[end] == 13 and text[end + 1] == 10 else 1)
        return True

    cdef bint line(self, const unsigned char *line, Py_ssize_t length) except -1:
        cdef Field fields[FIELDS]
        cdef Field name
        cdef int64_t start = 0, end = 0
        cdef int count = split(line, length, fields)
        if count == 0 or fields[0].at[0] == 35:
            return True
        if not interval(fields, count, &start, &end):
            return (<const char *> fields[0].at)[:fields[0].length] in (b"track", b"browser")
        self.contig.put_u32(<uint32_t> self.id_of(&fields[0]))
        self.start.put_u64(<unsigned long long> start)
        self.end.put_u64(<unsigned long long> end)
        if self.keeps_names:
            name = label(line, length, fields, count)
            self.labels.append((<const char *> name.at)[:name.length])
            self.named |= name.length > 0
        return True

    cdef int32_t id_of(self, const Field *name) except -1:
        if self.last_id >= 0 and len(self.last) == name.length and not memcmp(
            <const char *> self.last, name.at, <size_t> name.length
        ):
            return self.last_id
        self.last = (<const char *> name.at)[:name.length]
        self.last_id = self.ids.setdefault(self.last, len(self.ids))
        if self.last_id == len(self.contigs):
            self.contigs.append(self.last.decode("utf-8", "surrogateescape"))
        return self.last_id


def _column(code, buffer):
    column = array(code)
    column.frombytes(buffer)
    return column


def placed(const int32_t[::1] contigs not None, const int64_t[::1] starts not None,
           const int64_t[::1] ends not None, const int32_t[::1] ids not None, const int64_t[::1] lengths not None):
    """Convert intervals to columns of reference id, start and end, with ends clipped to the contig's length.

    ``contigs`` has the index of each interval's contig; ``ids`` and ``lengths`` have the reference id and the length of
    each contig. Intervals on contigs without a reference (-1), and those that start past their contig's end, are
    dropped.
    """
    cdef Py_ssize_t i
    cdef int32_t contig
    cdef Buffer out_ids = Buffer(width=4), out_starts = Buffer(width=8), out_ends = Buffer(width=8)
    for i in range(contigs.shape[0]):
        contig = contigs[i]
        if ids[contig] >= 0 and starts[i] < lengths[contig]:
            out_ids.put_u32(<uint32_t> ids[contig])
            out_starts.put_u64(<unsigned long long> starts[i])
            out_ends.put_u64(<unsigned long long> min(ends[i], lengths[contig]))
    return _column("i", out_ids), _column("q", out_starts), _column("q", out_ends)


cdef int compare(const void *a, const void *b) noexcept nogil:
    cdef const Row *x = <const Row *> a
    cdef const Row *y = <const Row *> b
    if x.reference_id != y.reference_id:
        return 1 if x.reference_id > y.reference_id else -1
    if x.start != y.start:
        return 1 if x.start > y.start else -1
    if x.end != y.end:
        return 1 if x.end > y.end else -1
    return (x.row > y.row) - (x.row < y.row)


def in_order(const int32_t[::1] ids not None, const int64_t[::1] starts not None, const int64_t[::1] ends not None):
    """Sort the columns by reference (-1 last), start and end; return (ids, starts, ends, original row numbers)."""
    cdef Py_ssize_t i, n = ids.shape[0]
    cdef Row *rows = <Row *> malloc(<size_t> max(n, 1) * sizeof(Row))
    cdef bint ordered = True
    cdef int32_t[::1] out_ids
    cdef int64_t[::1] out_starts, out_ends, out_rows
    if rows == NULL:
        raise MemoryError(f"not enough memory for {n} intervals")
    try:
        for i in range(n):
            rows[i] = Row(<uint32_t> ids[i], starts[i], ends[i], i)
            ordered = ordered and (i == 0 or compare(&rows[i - 1], &rows[i]) < 0)
        if not ordered:
            with nogil:
                qsort(rows, <size_t> n, sizeof(Row), compare)
        columns = _zeros("i", n), _zeros("q", n), _zeros("q", n), _zeros("q", n)
        out_ids, out_starts, out_ends, out_rows = columns
        for i in range(n):
            out_ids[i], out_starts[i] = <int32_t> rows[i].reference_id, rows[i].start
            out_ends[i], out_rows[i] = rows[i].end, rows[i].row
    finally:
        free(rows)
    return columns


def _zeros(code, n):
    return array(code, bytes(array(code).itemsize)) * n


def sorted_column(const int64_t[::1] values not None):
    """A sorted copy of a column."""
    column = _zeros("q", values.shape[0])
    cdef int64_t[::1] out = column
    cdef bint ordered = True
    cdef Py_ssize_t i
    for i in range(values.shape[0]):
        out[i] = values[i]
        ordered = ordered and (i == 0 or values[i - 1] <= values[i])
    if not ordered:
        with nogil:
            qsort(&out[0], <size_t> out.shape[0], sizeof(int64_t), compare_numbers)
    return column


cdef int compare_numbers(const void *a, const void *b) noexcept nogil:
    cdef int64_t x = (<const int64_t *> a)[0], y = (<const int64_t *> b)[0]
    return (x > y) - (x < y)


def by_reference(const int32_t[::1] ids not None):
    """Runs of equal ids, as a list of (reference id, first, last); `last` is exclusive."""
    cdef Py_ssize_t i, first = 0
    runs = []
    for i in range(1, ids.shape[0] + 1):
        if i == ids.shape[0] or ids[i] != ids[first]:
            runs.append((ids[first], first, i))
            first = i
    return runs


def merged(const int64_t[::1] starts not None, const int64_t[::1] ends not None):
    """Merge overlapping and adjacent intervals of one reference, given in order of start: (starts, ends)."""
    cdef Py_ssize_t i
    cdef int64_t start = 0, end = 0
    cdef Buffer out_starts = Buffer(width=8), out_ends = Buffer(width=8)
    for i in range(starts.shape[0]):
        if i > 0 and starts[i] <= end:
            end = max(end, ends[i])
            continue
        if i > 0:
            out_starts.put_u64(<unsigned long long> start)
            out_ends.put_u64(<unsigned long long> end)
        start, end = starts[i], ends[i]
    if starts.shape[0]:
        out_starts.put_u64(<unsigned long long> start)
        out_ends.put_u64(<unsigned long long> end)
    return _column("q", out_starts), _column("q", out_ends)


def common(const int64_t[::1] starts not None, const int64_t[::1] ends not None,
           const int64_t[::1] other_starts not None, const int64_t[::1] other_ends not None):
    """The intersection of two sets of intervals of one reference, each sorted and disjoint: (starts, ends)."""
    cdef Py_ssize_t i = 0, k = 0, n = min(starts.shape[0], ends.shape[0])
    cdef Py_ssize_t others = min(other_starts.shape[0], other_ends.shape[0])
    cdef int64_t start, end
    cdef Buffer out_starts = Buffer(width=8), out_ends = Buffer(width=8)
    while i < n and k < others:
        start, end = max(starts[i], other_starts[k]), min(ends[i], other_ends[k])
        if start < end:
            out_starts.put_u64(<unsigned long long> start)
            out_ends.put_u64(<unsigned long long> end)
        if ends[i] < other_ends[k]:
            i += 1
        else:
            k += 1
    return _column("q", out_starts), _column("q", out_ends)
