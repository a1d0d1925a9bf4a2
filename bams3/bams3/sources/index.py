"""BAI and CSI indexes, which give the location of the records of a window in a BAM file.

In a coordinate-sorted file, the records that start in a window are contiguous. Every bin of the index covers an
interval and lists the locations of the records within it. So the bins that end before the window and those that start
after it bound this range on both sides; the bins in between are not needed.
"""

import io
import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, groupby

from bams3.errors import SourceError
from bams3.inflate import FREE, RATIO
from bams3.sources.bgzf import MAGIC as BGZF_MAGIC
from bams3.sources.bgzf import BlockReader
from bams3.sources.extents import BEYOND, WIDTH, extents
from bams3.sources.files import expect_regular, input_at, name_beside
from bams3.sources.inputs import Input, source_error
from bams3.warned import warn

INT32 = struct.Struct("<i")
BIN = {"BAI": struct.Struct("<Ii"), "CSI": struct.Struct("<IQi")}
"""Header of a bin: its number, loffset (in CSI; not used here), and its number of chunks."""
CHUNK_BYTES = 16

Interval = tuple[int, int, int, int]
"""A bin: its 0-based half-open interval; the virtual offsets of its first record and of the end of its last record."""


class Index:
    """A parsed BAI or CSI file, with BGZF virtual offsets. Raises SourceError if the file is damaged.

    `file_size`: size of the BAM in bytes; an index that points beyond it is refused. `outdated`: the index is older
    than the BAM.
    """

    def __init__(self, path: str, data: bytes, *, n_ref: int, file_size: int, outdated: bool = False) -> None:
        self.path = path
        self.outdated = outdated
        self._data = data
        self._end_voffset = file_size << 16
        self._bins_of: dict[int, list[Interval]] = {}
        try:
            self._parse(n_ref)
        except struct.error:
            raise SourceError(f"{path}: the index is truncated; recreate it with samtools index") from None

    @classmethod
    def open(cls, alignments: Input, index: str | None, *, n_ref: int) -> "Index | None":
        """Open the given index (a path or URI), or the one next to a BAM file; return None if there is none.

        Prints a warning if the index is older than the BAM.
        """
        beside = [] if index else names_beside(alignments.path)
        if not alignments.remote:
            for name in beside:
                expect_regular(name)
        found = _read_first([index] if index else beside)
        if found is None and index:
            raise SourceError(f"{input_at(index).name}: no such index")
        if found is None:
            return None
        file, data = found
        written, changed = file.modified(), alignments.modified()
        outdated = written is not None and changed is not None and written < changed
        if outdated:
            warn(f"The index file is older than the data file: {file.name}")
        if data[:4] == BGZF_MAGIC:
            data = _inflated(data, file.name)
        return cls(file.name, data, n_ref=n_ref, file_size=alignments.size(), outdated=outdated)

    def _parse(self, n_ref: int) -> None:
        """Locate each reference's bins; their contents are read on demand."""
        data = self._data
        if data[:4] == b"BAI\1":
            self._kind, self._min_shift, self._depth, at = "BAI", 14, 5, 4
        elif data[:4] == b"CSI\1":
            self._kind = "CSI"
            self._min_shift, self._depth, aux = struct.unpack_from("<3i", data, 4)
            at = 16 + aux
            if not 0 < self._min_shift < 32 or not 0 <= self._depth <= 9 or aux < 0:
                raise self._error("the index has invalid bin sizes")
        else:
            raise self._error("not a BAI or CSI index")
        count = self._count(at)
        if count != n_ref:
            raise self._error(
                f"the index has {count} references, the BAM {n_ref}; it belongs to another file"
            )
        at += 4
        self._pseudo_bin = first_bin(self._depth + 1) + 1
        try:
            self._extents, at = extents(
                data, at, count, self._kind == "CSI", self._pseudo_bin, self._end_voffset
            )
        except ValueError as error:
            raise self._error(str(error)) from None
        self.n_no_coor: int | None = struct.unpack_from("<Q", data, at)[0] if at + 8 <= len(data) else None

    def _count(self, at: int) -> int:
        count: int = INT32.unpack_from(self._data, at)[0]
        if count < 0:
            raise self._error("the index has a negative count")
        return count

    def _bins(self, reference_id: int) -> list[Interval]:
        if reference_id not in self._bins_of:
            self._bins_of[reference_id] = self._read_bins(reference_id)
        return self._bins_of[reference_id]

    def _read_bins(self, reference_id: int) -> list[Interval]:
        unpack, header = BIN[self._kind].unpack_from, BIN[self._kind].size
        bins = []
        at, _, count = self._extents[WIDTH * reference_id : WIDTH * reference_id + 3]
        for _ in range(count):
            number, *_loffset, chunks = unpack(self._data, at)
            at += header
            offsets = array("Q", self._data[at : at + CHUNK_BYTES * chunks])
            at += CHUNK_BYTES * chunks
            if number == self._pseudo_bin or not chunks:
                continue
            if number > self._pseudo_bin - 2:
                raise self._error(f"the index has an invalid bin number {number}")
            first, end = min(offsets[::2]), max(offsets[1::2])
            if end > self._end_voffset:
                raise self._error(BEYOND)
            bins.append((*self._interval(number), first, end))
        return bins

    def _interval(self, number: int) -> tuple[int, int]:
        """The 0-based half-open interval of a bin; its records lie within it."""
        if number == first_bin(self._depth) - 1:
            # htslib assigns records with a reference but no position (POS 0 in SAM) to this bin.
            return -1, 1 << 62
        level = 0
        while number >= first_bin(level + 1):
            level += 1
        size = 1 << self._min_shift + 3 * (self._depth - level)
        start = (number - first_bin(level)) * size
        return start, start + size

    def chunks_for(self, reference_id: int, start: int, end: int) -> list[tuple[int, int]]:
        """Return ranges [begin, end) of virtual offsets that hold all records that start in [start, end), 0-based.

        There may be records that start elsewhere at both ends. Records with a reference but no position count as
        starting at 0. The list is empty if there are no records.
        """
        bins = self._bins(reference_id)
        around = [(first, last) for begins, ends, first, last in bins if begins < end and ends > start]
        if not around:
            return []
        before = [last for _, ends, _, last in bins if ends <= start]
        after = [first for begins, _, first, _ in bins if begins >= end]
        first = max(before) if before else min(first for first, _ in around)
        last = min(after) if after else max(last for _, last in around)
        return [(first, last)] if first < last else []

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        """Return the approximate size in the BAM file, in bytes, of each window (reference id, start, end), 0-based.

        It is the distance between the first records of the bins that start at, or first after, the two ends of the
        window; for a window with records, it is at least 1.
        """
        found = []
        for reference_id, of_reference in groupby(windows, key=lambda window: window[0]):
            if reference_id < 0:
                unplaced = (self._end_voffset >> 16) - ((self.unplaced_offset() or 0) >> 16)
                found += [0 if self.n_no_coor == 0 else unplaced for _ in of_reference]
                continue
            bins = sorted(self._bins(reference_id), reverse=True)
            begins = [-bin[0] for bin in bins]
            firsts = list(accumulate((bin[2] for bin in bins), min))
            end = max((bin[3] for bin in bins), default=0)
            for _, start, stop in of_reference:
                low, high = (
                    firsts[at - 1] if (at := bisect_right(begins, -place)) else end
                    for place in (start or -1, stop)
                )
                found.append(max((high >> 16) - (low >> 16), int(high > low)))
        return found

    def counts(self) -> list[tuple[int, int]] | None:
        """(mapped, unmapped) records of each reference; None if the index does not store them."""
        _, _, bins, told, _, _, mapped, unmapped = (self._extents[column::WIDTH] for column in range(WIDTH))
        if any(number and not known for number, known in zip(bins, told, strict=True)):
            return None
        return list(zip(mapped, unmapped, strict=True))

    def unplaced_offset(self) -> int | None:
        """Return the virtual offset where the records without a reference start; None if there are no other records."""
        ends: list[int] = []
        told, lasts = self._extents[3::WIDTH], self._extents[5::WIDTH]
        for reference_id, (known, last) in enumerate(zip(told, lasts, strict=True)):
            if known:
                ends.append(last)
            else:
                ends += (end for _, _, _, end in self._bins(reference_id))
        return max(ends, default=None)

    def _error(self, what: str) -> SourceError:
        return SourceError(f"{self.path}: {what}; recreate it with samtools index")


def _inflated(data: bytes, name: str) -> bytes:
    """The decompressed contents of a CSI file."""
    portions, size = [], 0
    for portion in BlockReader(io.BytesIO(data), name=name).portions():
        size += len(portion)
        if size > FREE and size > RATIO * len(data):
            raise SourceError(f"{name}: it inflates to more than {RATIO} times its size; not an index")
        portions.append(portion)
    return b"".join(portions)


def first_bin(level: int) -> int:
    """Number of the first bin of a level; level 0 is the single bin that covers everything."""
    return ((1 << 3 * level) - 1) // 7


def names_beside(alignments: str) -> list[str]:
    """Return the names under which the index of a BAM file may exist: x.bam.bai, x.bai, x.bam.csi and x.csi."""
    endings, suffixes = (".bai", ".csi"), ("", ".bam")
    names = (name_beside(alignments, ending, suffix) for ending in endings for suffix in suffixes)
    return list(dict.fromkeys(names))


def _read_first(paths: Sequence[str]) -> tuple[Input, bytes] | None:
    """Return the first file that exists, and its bytes. Existence is tested only by reading. Raises SourceError."""
    refused: OSError | None = None
    for path in paths:
        file = input_at(path)
        try:
            return file, file.read_small()
        except FileNotFoundError:
            continue
        except PermissionError as error:
            # S3 also reports this for missing objects if the caller may not list the bucket.
            refused = refused or error
        except OSError as error:
            raise source_error(error) from None
    if refused:
        raise source_error(refused)
    return None
