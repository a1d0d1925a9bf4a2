"""Walk over BAM records in memory, checking every byte that a length, a count or a reader depends on."""

from cpython cimport array
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from bams3.bam.fields cimport load_i32, load_u32
from bams3.bam.validity cimport (
    ALIGNMENT_END, BLOCK_SIZE, CIGAR_LENGTH, CIGAR_OPERATION, FIXED, INCOMPLETE, LENGTHS, NAME, NEXT_POSITION,
    NEXT_REFERENCE, NONE, POSITION, REFERENCE, TAG_LENGTH, TAG_TYPE, Fault, check_record,
)

import array

from bams3.errors import SourceError

cdef array.array INT64 = array.array("q")


cdef class RecordBlock:
    """Whole BAM records in memory, validated by `walk`; record i is ``data[offsets[i]:offsets[i + 1]]``.

    ``data`` is bytes-like; ``offsets`` is an ``array('q')`` of n + 1 byte offsets into it. A slice is a
    block over the same data: no record is copied.
    """

    cdef readonly object data
    cdef readonly array.array offsets

    def __init__(self, data, array.array offsets not None):
        if offsets.ob_descr.typecode != b"q" or len(offsets) == 0:
            raise ValueError("offsets must be an array('q') with one more entry than there are records")
        self.data = data
        self.offsets = offsets

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, records):
        if not isinstance(records, slice):
            raise TypeError("a RecordBlock can be sliced, not indexed")
        first, last, step = records.indices(len(self))
        if step != 1:
            raise ValueError("a RecordBlock can only be sliced in steps of 1")
        return RecordBlock(self.data, self.offsets[first : max(first, last) + 1])

    def __reduce__(self):
        start, end = self.offsets[0], self.offsets[len(self)]
        data = bytes(memoryview(self.data)[start:end])
        return RecordBlock, (data, array.array("q", [offset - start for offset in self.offsets]))

    def __repr__(self):
        return f"RecordBlock({len(self)} records)"


MESSAGES = {
    BLOCK_SIZE: "block_size is {block_size}; it must be between 32 and 2147483647",
    LENGTHS: "the lengths of its name, CIGAR and sequence disagree with its block_size of {block_size}",
    NAME: "its name is not NUL-terminated or has a NUL inside",
    REFERENCE: "its reference id {ref_id} is not in the header, which has {n_ref} references",
    NEXT_REFERENCE: "its mate's reference id {next_ref_id} is not in the header, which has {n_ref} references",
    POSITION: "its position {pos} is not between -1 and 2147483646",
    NEXT_POSITION: "its mate's position {next_pos} is not between -1 and 2147483646",
    CIGAR_OPERATION: "its CIGAR has an operation other than MIDNSHP=X",
    CIGAR_LENGTH: "its CIGAR and its sequence differ in length",
    ALIGNMENT_END: "its alignment ends beyond position 2147483647",
    TAG_TYPE: "a tag's type is not one of A c C s S i I f Z H B, or a B array's subtype is not one of c C s S i I f",
    TAG_LENGTH: "its tags do not end where the record does (block_size {block_size})",
}


cdef Fault scan(
    const uint8_t *data, int64_t start, int64_t size, int64_t n_ref, int64_t *offsets, int64_t *count
) noexcept nogil:
    """Fill `offsets` with the start of each whole record and the end of the last; return the fault that ended it."""
    cdef int64_t at = start, n = 0
    cdef Fault fault = INCOMPLETE
    offsets[0] = at
    while at < size:
        fault = check_record(data + at, size - at, n_ref)
        if fault != NONE:
            break
        at += 4 + <int64_t> load_u32(data + at)
        n += 1
        offsets[n] = at
    count[0] = n
    return fault if at < size else NONE


def walk(data, int64_t n_ref, int64_t start=0, int64_t first_record=0):
    """Find and validate the consecutive BAM records in `data`, starting at byte `start`.

    As in htslib, the name of a tag may be any two bytes; the CIGAR and the sequence of a mapped read, if it has both,
    must have the same length. In addition, an alignment must end at or before position 2^31 - 1, so that ends fit in an
    int32, as positions do.

    Parameters
    ----------
    data
        Bytes-like. It may end in the middle of a record.
    n_ref
        Number of references in the header.
    start
        Where the first record begins in `data`.
    first_record
        Number of records before `data` in the file, for error messages.

    Returns
    -------
    block : RecordBlock
        The whole records.
    used : int
        The number of bytes that they take.

    Raises
    ------
    SourceError
        For the first record in which a length, count, id, CIGAR operation or tag violates the BAM specification, with
        its 1-based number and its name.
    """
    cdef const uint8_t[::1] view = data
    cdef int64_t size = view.shape[0]
    cdef int64_t count = 0
    cdef array.array offsets
    cdef int64_t *out
    cdef Fault fault = NONE
    if start < 0 or start > size:
        raise ValueError(f"start {start} is outside a buffer of {size} bytes")
    # The smallest record takes 37 bytes: allocate for the largest possible number of records, then shrink.
    offsets = array.clone(INT64, (size - start) // (4 + FIXED + 1) + 1, zero=False)
    out = <int64_t *> offsets.data.as_longlongs
    out[0] = start
    if start < size:
        with nogil:
            fault = scan(&view[0], start, size, n_ref, out, &count)
    if fault != NONE and fault != INCOMPLETE:
        raise SourceError(describe(view, out[count], fault, n_ref, first_record + count + 1))
    array.resize(offsets, count + 1)
    return RecordBlock(data, offsets), offsets.data.as_longlongs[count] - start


def find_records(data, int64_t n_ref):
    """Guess where the first record begins in bytes that may begin in the middle of a record.

    The guess is the first offset at which two consecutive valid records begin, or valid records up to the end. It may
    be wrong. `data` is bytes-like; `n_ref` is the number of references in the header. Returns -1 if there is no such
    offset, or if the search takes too long.
    """
    cdef const uint8_t[::1] view = data
    cdef int64_t size = view.shape[0], at = 0, examined = 0
    with nogil:
        while at < size and examined <= 2 * size:
            if follow(&view[0] + at, size - at, n_ref, &examined):
                break
            at += 1
        else:
            at = -1
    return at


cdef bint follow(const uint8_t *data, int64_t size, int64_t n_ref, int64_t *examined) noexcept nogil:
    """Whether `data` begins with two records. `examined` counts the bytes of candidates that take long to check."""
    cdef int64_t at = 0
    cdef int found
    cdef Fault fault
    for found in range(2):
        if at == size:
            return True
        fault = check_record(data + at, size - at, n_ref)
        if size - at >= 4 and (fault == NONE or fault == INCOMPLETE or fault >= CIGAR_OPERATION):  # others are fast
            examined[0] += min(<int64_t> load_u32(data + at), size - at)
        if fault != NONE:
            return fault == INCOMPLETE and found > 0
        at += 4 + <int64_t> load_u32(data + at)
    return True


cdef str describe(const uint8_t[::1] view, int64_t at, Fault fault, int64_t n_ref, int64_t number):
    """Describe the fault of the record at byte `at` in one line, with the record's number, and its name if readable."""
    cdef const uint8_t *p = &view[at]
    cdef int64_t available = view.shape[0] - at
    values = {"block_size": load_i32(p), "n_ref": n_ref}
    if available >= 4 + FIXED:
        values |= {"ref_id": load_i32(p + 4), "pos": load_i32(p + 8), "next_ref_id": load_i32(p + 24), "next_pos": load_i32(p + 28)}
    return f"{label(p, available, number)}: {MESSAGES[fault].format(**values)}; the file is damaged"


cdef str label(const uint8_t *p, int64_t available, int64_t number):
    """``record 12 (the name)``, or without the name if it cannot be read."""
    cdef int64_t length = 0
    if available >= 4 + FIXED and load_i32(p) >= FIXED:
        length = min(<int64_t> p[12] - 1, available - 4 - FIXED, <int64_t> load_i32(p) - FIXED)
    if length <= 0:
        return f"record {number}"
    name = (<const char *> p)[4 + FIXED : 4 + FIXED + length].split(b"\0")[0]
    return f"record {number} ({name.decode('ascii', 'backslashreplace')})" if name else f"record {number}"


cdef int64_t first_unsorted(
    const uint8_t *data, const int64_t *offsets, int64_t count, int32_t *last_ref, int32_t *last_pos
) noexcept nogil:
    """The first record out of order, or `count`. Sets `last_ref` and `last_pos` to those of the last one in order."""
    cdef int64_t i
    cdef uint32_t ref, before = <uint32_t> last_ref[0]
    cdef int32_t pos, pos_before = last_pos[0]
    for i in range(count):
        ref = load_u32(data + offsets[i] + 4)  # unsigned: -1 comes last
        pos = load_i32(data + offsets[i] + 8)
        if ref < before or (ref == before and pos < pos_before and ref != <uint32_t> -1):
            count = i
            break
        before = ref
        pos_before = pos
    last_ref[0] = <int32_t> before
    last_pos[0] = pos_before
    return count


def check_order(
    RecordBlock block not None, int32_t last_ref=0, int32_t last_pos=-1, int64_t first_record=0, references=()
):
    """Check that records are sorted by coordinate, as htslib requires for an index.

    The order is by reference id (-1 last), then by 0-based position (-1 first); positions of records without a
    reference do not matter.

    Parameters
    ----------
    block
        The records.
    last_ref, last_pos
        Reference id and position of the record before the block; (0, -1) if there is none.
    first_record, references
        Number of records before the block, and the references of the header, for error messages.

    Returns
    -------
    tuple of int
        Reference id and position of the block's last record.

    Raises
    ------
    SourceError
        If a record is out of order; it names the first one.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t count = offsets.shape[0] - 1, bad, at
    if count == 0:
        return last_ref, last_pos
    with nogil:
        bad = first_unsorted(&data[0], &offsets[0], count, &last_ref, &last_pos)
    if bad == count:
        return last_ref, last_pos
    at = offsets[bad]
    who = label(&data[at], data.shape[0] - at, first_record + bad + 1)
    raise SourceError(
        f"not sorted by coordinate: {who} is at {place(load_i32(&data[at + 4]), load_i32(&data[at + 8]), references)}, "
        f"after one at {place(last_ref, last_pos, references)}"
    )


cdef str place(int32_t ref, int32_t pos, references):
    """A 1-based position in samtools' notation."""
    if ref < 0:
        return "no reference"
    return f"{references[ref][0] if ref < len(references) else f'reference {ref}'}:{<int64_t> pos + 1}"


cdef inline int64_t window_of(int32_t ref, int32_t pos, int shift) noexcept nogil:
    return 0 if ref < 0 or pos < 0 else pos >> shift


cdef int64_t end_of_run(
    const uint8_t *data, const int64_t *offsets, int64_t first, int64_t count, int shift
) noexcept nogil:
    """The first record after `first` with a different reference or window, or `count`. Records must be sorted."""
    cdef int32_t ref = load_i32(data + offsets[first] + 4)
    cdef int64_t window = window_of(ref, load_i32(data + offsets[first] + 8), shift)
    cdef int64_t low = first + 1, high = count, middle = count - 1  # most runs reach the last record
    while low < high:
        if load_i32(data + offsets[middle] + 4) == ref and window_of(ref, load_i32(data + offsets[middle] + 8), shift) == window:
            low = middle + 1
        else:
            high = middle
        middle = (low + high) // 2
    return low


def split_windows(RecordBlock block not None, int shift, dict shared=None):
    """Cut a sorted block into runs of records that start in the same window of 2^shift bp.

    Returns a list of `(first, last, ref_id, window_index)`: records [first, last) have the reference id
    `ref_id` and start in window `window_index`, which is [index << shift, (index + 1) << shift), 0-based.
    A position of -1 counts as 0; records without a reference (-1) are in window 0, whatever their position.
    `shared` maps each reference that shares a window to the first reference that shares it. Records of these references
    are one run, which has the first one's reference id, and -1 as its window.
    """
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t count = offsets.shape[0] - 1, first = 0, last
    cdef int32_t ref
    if not 0 <= shift <= 31:
        raise ValueError(f"a window of 2^{shift} bp is not possible")
    runs, open_run = [], None
    while first < count:
        with nogil:
            last = end_of_run(&data[0], &offsets[0], first, count, shift)
        ref = load_i32(&data[offsets[first] + 4])
        sharing = shared.get(ref) if shared is not None else None
        if sharing is None:
            runs.append((first, last, ref, window_of(ref, load_i32(&data[offsets[first] + 8]), shift)))
            open_run = None
        elif sharing == open_run:
            runs[len(runs) - 1] = runs[len(runs) - 1][0], last, sharing, -1
        else:
            runs.append((first, last, sharing, -1))
            open_run = sharing
        first = last
    return runs


def end_of_contig(RecordBlock block not None, Py_ssize_t number):
    """The number of the first record after record ``number`` with a different reference id than it; and its own id."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef Py_ssize_t count = offsets.shape[0] - 1
    if not 0 <= number < count:
        raise IndexError(number)
    cdef int32_t ref = load_i32(&data[offsets[number] + 4])
    while number < count and load_i32(&data[offsets[number] + 4]) == ref:
        number += 1
    return number, ref


def join(blocks):
    """Copy the records of several blocks, in order, into one block."""
    cdef array.array offsets = array.clone(INT64, sum(map(len, blocks)) + 1, zero=False)
    cdef int64_t size = sum([block.offsets[len(block)] - block.offsets[0] for block in blocks])
    cdef bytes joined = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t *data = <uint8_t *> <char *> joined
    cdef int64_t *out = <int64_t *> offsets.data.as_longlongs
    cdef const uint8_t[::1] records
    cdef const int64_t[::1] source
    cdef int64_t i, shift
    out[0] = 0
    for block in blocks:
        source = (<RecordBlock?> block).offsets
        if source.shape[0] < 2:
            continue
        records = block.data
        with nogil:
            memcpy(data + out[0], &records[source[0]], source[source.shape[0] - 1] - source[0])
            shift = out[0] - source[0]
            for i in range(1, source.shape[0]):
                out[i] = source[i] + shift
            out += source.shape[0] - 1
    return RecordBlock(joined, offsets)


def find_start(RecordBlock block not None, int32_t ref_id, int64_t pos):
    """Index of the first record at or after (ref_id, pos) in a sorted block; the block's length if there is none."""
    cdef const uint8_t[::1] data = block.data
    cdef const int64_t[::1] offsets = block.offsets
    cdef int64_t low = 0, high = offsets.shape[0] - 1, middle
    cdef uint32_t ref
    while low < high:
        middle = (low + high) // 2
        ref = load_u32(&data[offsets[middle] + 4])
        if ref < <uint32_t> ref_id or (ref == <uint32_t> ref_id and load_i32(&data[offsets[middle] + 8]) < pos):
            low = middle + 1
        else:
            high = middle
    return low
