"""Where things are in a dataset, and the grid of windows."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, groupby, pairwise
from typing import Any, NamedTuple, TypeVar

from bams3.errors import UsageError

Item = TypeVar("Item")

METADATA = "_metadata.json"
HEADER = "_header.sam.zst"
PLAIN_HEADER = "_header.sam"  # in datasets of format version 1
INDEX = "_index/chunks.json.zst"
PARTS = "_parts"
PLAN = f"{PARTS}/plan.json"
DATA = "data"

UNPLACED = -1  # reference id of reads with no position
UNPLACED_FOLDER = "_unplaced"

JOINED_FOLDER = "_contigs"
MANY_CONTIGS = 1 << 12  # with more contigs than this, short ones share windows: …
SHORT = 8  # … those of which so many fit into a window …
MOST_JOINED = 1 << 12  # … in runs of at most so many contigs …
ROOM = 4  # … that are together no longer than so many windows
SHARED_ROW_GROUP = 1 << 14  # a row group of several contigs ends with one of them if it has so many records

ROW_GROUP_SHIFT = 17  # row groups end where windows of 2^17 bp do …
SMALL_ROW_GROUP = 1 << 12  # … unless they have fewer records than this; they have …
ROW_GROUP_RECORDS = 1 << 16  # … at most this many records …
ROW_GROUP_BYTES = 32 << 20  # … and at most this many bytes of BAM records, unless the last record is longer
UNPLACED_ROW_GROUPS = 8  # row groups in a chunk of reads with no position

DEFAULT_CHUNK_SIZE = 1 << 20
CHUNK_SIZES = tuple(1 << shift for shift in range(18, 24))

LONGEST_NAME = 200  # characters of a contig's name as a path component

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Window(NamedTuple):
    """One cell of the grid: reads of `reference_id` that start in [start, end), 0-based; in the last one, or later.

    Reads with no position are one window: (UNPLACED, 0, 0). Contigs that share a window have that of the first.
    """

    reference_id: int
    start: int
    end: int


@lru_cache(64)
def encode_name(contig: str) -> str:
    """Encode a contig's name as a path component: percent-encode bytes outside [A-Za-z0-9._-], and a leading . or _.

    File systems allow 255 bytes, so if the result exceeds 200, its end is replaced by ~ and a hash.
    """
    if len(contig) <= LONGEST_NAME and re.fullmatch(r"[A-Za-z0-9-][A-Za-z0-9._-]*", contig):
        return contig
    name = contig.encode("utf-8", "surrogateescape")
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name[: LONGEST_NAME + 1])
    if encoded[0] in "._":
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) > LONGEST_NAME:
        import hashlib

        digest = hashlib.sha256(name).hexdigest()[:32]
        encoded = f"{encoded[: LONGEST_NAME - 33]}~{digest}"
    return encoded


def chunk_path(contig: str, start: int, end: int) -> str:
    """Path of the chunk of a window: `data/chr1/000000000-001048576.chunk`."""
    return f"{DATA}/{encode_name(contig)}/{start:09d}-{end:09d}.chunk"


def joined_path(first: int, end: int) -> str:
    """Path of the chunk that the contigs with these reference ids share: `data/_contigs/000000000-000000937.chunk`."""
    return f"{DATA}/{JOINED_FOLDER}/{first:09d}-{end:09d}.chunk"


def unplaced_path(number: int) -> str:
    """Path of a chunk of reads with no position."""
    return f"{DATA}/{UNPLACED_FOLDER}/{number:06d}.chunk"


def firsts_of(lengths: Sequence[int], chunk_size: int) -> "array[int]":
    """For each contig the first of those that it shares its window with, array('i'); itself if there is no other.

    Where there are many contigs, short ones that follow each other share a window.
    """
    firsts = array("i", range(len(lengths)))
    if len(lengths) <= MANY_CONTIGS:
        return firsts
    first, room = 0, 0
    for number, length in enumerate(lengths):
        if length * SHORT > chunk_size:
            room = 0
        elif length <= room and number - first < MOST_JOINED:
            firsts[number] = first
            room -= length
        else:
            first, room = number, ROOM * chunk_size - length
    return firsts


def joins(lengths: Sequence[int], chunk_size: int) -> bool:
    """Whether any contigs share windows."""
    return firsts_of(lengths, chunk_size) != array("i", range(len(lengths)))


class Grid(Sequence[Window]):
    """Consecutive windows of a genome, created on demand: there may be tens of millions of them.

    A contig has at least one window (a read may start anywhere, even on a contig of length 0), and
    reads that start past a contig's end belong to its last window. Short contigs may share one (see `firsts_of`).
    The window of the reads with no position is the last.
    """

    def __init__(self, references: Sequence[tuple[str, int]], chunk_size: int, *, joins: bool = True) -> None:
        """`joins`: whether contigs can share windows; they can't in datasets of earlier versions."""
        self.chunk_size = chunk_size
        self._names = [name for name, _ in references]
        lengths = [length for _, length in references]
        self.firsts = firsts_of(lengths, chunk_size) if joins else array("i", range(len(lengths)))
        counts = [
            (-(-length // chunk_size) or 1) if first == number else 0
            for number, (first, length) in enumerate(zip(self.firsts, lengths, strict=True))
        ]
        self._before = list(
            accumulate(counts, initial=0)
        )  # for each reference, the number of windows before its first
        self._part = range(self._before[-1] + 1)  # which windows of the genome these are

    @cached_property
    def shared(self) -> dict[int, int]:
        """Of each contig that shares its window, by reference id, the first one that does."""
        found: dict[int, int] = {}
        for first, members in groupby(range(len(self.firsts)), key=self.firsts.__getitem__):
            sharing = list(members)
            if len(sharing) > 1:
                found |= dict.fromkeys(sharing, first)
        return found

    def sharing(self, reference_id: int) -> range:
        """The contigs that have the window of a contig, by reference id: itself, if it shares none."""
        first = self.firsts[reference_id]
        return range(first, bisect_right(self.firsts, first))

    def shared_paths(self) -> Iterator[str]:
        """Paths of the chunks that several contigs share."""
        for first, members in groupby(self.shared, key=self.shared.__getitem__):
            *_, last = members
            yield joined_path(first, last + 1)

    def path(self, reference_id: int, start: int) -> str:
        """Path of the chunk of a window, or (reference id −1) of chunk number `start` of the reads with no position."""
        if reference_id == UNPLACED:
            return unplaced_path(start)
        sharing = self.sharing(reference_id)
        if len(sharing) > 1:
            return joined_path(sharing.start, sharing.stop)
        return chunk_path(self._names[reference_id], start, start + self.chunk_size)

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            from copy import copy

            part = copy(self)
            part._part = self._part[at]
            return part
        number = self._part[at]
        if number == self._before[-1]:
            return Window(UNPLACED, 0, 0)
        reference_id = bisect_right(self._before, number) - 1
        start = (number - self._before[reference_id]) * self.chunk_size
        return Window(reference_id, start, start + self.chunk_size)

    def __iter__(self) -> Iterator[Window]:
        for run in self.runs():
            yield from cells(run, self.chunk_size)

    def index_of(self, reference_id: int, start: int) -> int | None:
        """The index of the window that starts at a position of a reference; None if it is not among these."""
        if reference_id == UNPLACED:
            number = self._before[-1]
        elif not 0 <= reference_id < len(self._before) - 1 or start < 0 or start % self.chunk_size:
            return None
        else:
            reference_id = self.firsts[reference_id]
            number = self._before[reference_id] + start // self.chunk_size
            if number >= self._before[reference_id + 1]:
                return None
        return number - self._part.start if number in self._part else None

    def contigs(self) -> Iterator[range]:
        """For each contig (and for the reads with no position), the indices of its windows among these."""
        number, stop = self._part.start, self._part.stop
        while number < stop:
            reference_id = bisect_right(self._before, number)
            end = min(stop, self._before[reference_id]) if reference_id < len(self._before) else stop
            yield range(number - self._part.start, end - self._part.start)
            number = end

    def run(self, places: range) -> Window:
        """Join windows of one contig into one."""
        first: Window = self[places[0]]
        return first._replace(end=self[places[-1]].end)

    def runs(self) -> Iterator[Window]:
        """The same windows, with those of each contig joined into one."""
        return map(self.run, self.contigs())


def last_window(length: int, chunk_size: int) -> int:
    """The start of the last window of a contig; it holds all reads that start there or later."""
    return (max(-(-length // chunk_size), 1) - 1) * chunk_size


def cells(run: Window, chunk_size: int) -> Iterator[Window]:
    """The windows that make up a run."""
    if run.reference_id == UNPLACED:
        yield run
        return
    for start in range(run.start, run.end, chunk_size):
        yield Window(run.reference_id, start, start + chunk_size)


Sizes = Sequence[int] | Mapping[int, int]
"""Bytes (or another weight) of each item; a mapping holds only some items, by index."""


def batch(items: Sequence[Item], sizes: Sizes, number: int, of: int) -> Sequence[Item]:
    """The `number`-th (from 1) of the runs of `split`; empty if there are fewer runs."""
    if not 1 <= number <= of:
        raise UsageError(f"batch {number}/{of}: use i/n with 1 ≤ i ≤ n")
    borders = _borders(sizes, len(items), of)
    return items[borders[number - 1] : borders[number]] if number < len(borders) else items[:0]


def split(items: Sequence[Item], sizes: Sizes, of: int) -> list[Sequence[Item]]:
    """Split windows or chunks into `of` runs so that the largest run is as small as possible. Each run has an item of
    some size, so there are at most as many runs as such items.

    Negative sizes, as in a damaged index, count as 0. If all sizes are 0, every item counts the same. The result
    depends on the arguments alone.
    """
    return [items[start:end] for start, end in pairwise(_borders(sizes, len(items), of))]


def _borders(sizes: Sizes, count: int, of: int) -> list[int]:
    """The start of each run of `split`, and the end of the last. A run begins with an item of some size, but for the
    first, which begins with the first item."""
    pairs = sorted(sizes.items()) if isinstance(sizes, Mapping) else enumerate(sizes)
    sized = [(place, size) for place, size in pairs if size > 0]
    places: Sequence[int] = [place for place, _ in sized] or range(count)
    sums = list(accumulate((size for _, size in sized), initial=0)) if sized else range(count + 1)
    if not places:
        return [0]
    _, *starts = _starts(sums, min(of, len(places)))
    return [0, *(places[start] for start in starts), count]


def _starts(sums: Sequence[int], of: int) -> list[int]:
    """The first item of each of `of` runs of at least as many items, whose sizes have these prefix sums.

    Of the solutions with the smallest largest run, this is one in which each run is close to the mean of the rest.
    """
    count, total = len(sums) - 1, sums[-1]
    most = _smallest_largest(sums, of)
    # For each run, starting with the last, the earliest start that leaves it and the runs after it small enough.
    soonest = [bisect_left(sums, total - most)]
    while len(soonest) < of:
        soonest.append(bisect_left(sums, sums[soonest[-1]] - most))
    starts = [0]
    for later in reversed(range(1, of)):
        done = sums[starts[-1]]
        aim = done + (total - done) // (later + 1)
        end = bisect_left(sums, aim)
        if end and aim - sums[end - 1] < sums[end] - aim:
            end -= 1
        end = min(end, bisect_right(sums, done + most) - 1, count - later)
        starts.append(max(end, soonest[later - 1], starts[-1] + 1))
    return starts


def _smallest_largest(sums: Sequence[int], of: int) -> int:
    """The smallest possible size of the largest of `of` runs."""

    def suffices(most: int) -> bool:
        done = 0
        for _ in range(of):
            done = sums[bisect_right(sums, done + most) - 1]
            if done == sums[-1]:
                return True
        return False

    largest = max(end - start for start, end in pairwise(sums))
    low, high = max(largest, -(-sums[-1] // of)), sums[-1]
    if suffices(low):
        return low
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low


def parse_fraction(text: str, what: str = "batch") -> tuple[int, int]:
    """`i/n` → (i, n), 1 ≤ i ≤ n."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"{what} {text!r}: use i/n with 1 ≤ i ≤ n, for example 1/8")
    return int(match[1]), int(match[2])


def parse_size(text: str | int) -> int:
    """Parse a chunk size in bases; K and M mean 2^10 and 2^20. Raises UsageError unless it is one of CHUNK_SIZES."""
    match = re.fullmatch(r"(\d+)([kKmM]?)", str(text))
    size = int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2].lower()] if match else 0
    if size not in CHUNK_SIZES:
        raise UsageError(f"chunk size {text!r}: choose one of 256K, 512K, 1M, 2M, 4M, 8M (powers of two)")
    return size
