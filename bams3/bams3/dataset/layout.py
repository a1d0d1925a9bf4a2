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

UNPLACED = -1  # reference id of reads without a position
UNPLACED_FOLDER = "_unplaced"

JOINED_FOLDER = "_contigs"
MANY_CONTIGS = 1 << 12  # with more contigs than this, short ones share windows
SHORT = 8  # a contig is short if at least this many contigs of its length fit into a window
MOST_JOINED = 1 << 12  # at most this many contigs share a window …
ROOM = 4  # … and together they are at most as long as this many windows
# A row group of several contigs ends at the end of a contig if it has this many records.
SHARED_ROW_GROUP = 1 << 14

ROW_GROUP_SHIFT = 17  # row groups end where windows of 2^17 bp end …
SMALL_ROW_GROUP = 1 << 12  # … unless they have fewer records than this; they have …
ROW_GROUP_RECORDS = 1 << 16  # … at most this many records …
ROW_GROUP_BYTES = 32 << 20  # … and at most this many bytes of BAM records, unless the last record is longer
UNPLACED_ROW_GROUPS = 8  # row groups in a chunk of reads without a position

DEFAULT_CHUNK_SIZE = 1 << 20
CHUNK_SIZES = tuple(1 << shift for shift in range(18, 24))

LONGEST_NAME = 200  # most characters of a contig's name as a path component

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Window(NamedTuple):
    """A cell of the grid: the reads of `reference_id` that start in [start, end), 0-based.

    The last window of a contig also has the reads that start after its end. The reads without a position have one
    window, (UNPLACED, 0, 0). A window that contigs share has the reference id of the first one.
    """

    reference_id: int
    start: int
    end: int


@lru_cache(64)
def encode_name(contig: str) -> str:
    """Encode a contig's name as a path component: percent-encode bytes outside [A-Za-z0-9._-], and a leading . or _.

    File systems allow 255 bytes. So if the result is longer than 200 bytes, its end is replaced by ~ and a hash.
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
    """Return the path of the chunk of a window: `data/chr1/000000000-001048576.chunk`."""
    return f"{DATA}/{encode_name(contig)}/{start:09d}-{end:09d}.chunk"


def joined_path(first: int, end: int) -> str:
    """Return the path of the chunk that the contigs with reference ids in [first, end) share.

    For example, `data/_contigs/000000000-000000937.chunk`.
    """
    return f"{DATA}/{JOINED_FOLDER}/{first:09d}-{end:09d}.chunk"


def unplaced_path(number: int) -> str:
    """Return the path of a chunk of reads without a position."""
    return f"{DATA}/{UNPLACED_FOLDER}/{number:06d}.chunk"


def firsts_of(lengths: Sequence[int], chunk_size: int) -> "array[int]":
    """Return, for each contig, the first of the contigs that share its window; the contig itself if it shares none.

    If there are many contigs, consecutive short ones share a window. The result is an array('i') of reference ids.
    """
    firsts = array("i", range(len(lengths)))
    if len(lengths) <= MANY_CONTIGS:
        return firsts
    first, room = 0, -1  # no room: not even for a contig of length 0
    for number, length in enumerate(lengths):
        if length * SHORT > chunk_size:
            room = -1
        elif length <= room and number - first < MOST_JOINED:
            firsts[number] = first
            room -= length
        else:
            first, room = number, ROOM * chunk_size - length
    return firsts


def joins(lengths: Sequence[int], chunk_size: int) -> bool:
    """Tell whether any contigs share windows."""
    return firsts_of(lengths, chunk_size) != array("i", range(len(lengths)))


class Grid(Sequence[Window]):
    """Consecutive windows of a genome, created on demand, because there may be tens of millions of them.

    A contig has at least one window, because a read may start even on a contig of length 0. Reads that start past the
    end of a contig belong to its last window. Short contigs may share a window (see `firsts_of`). The last window is
    that of the reads without a position.
    """

    def __init__(self, references: Sequence[tuple[str, int]], chunk_size: int, *, joins: bool = True) -> None:
        """`joins`: whether contigs may share windows. In datasets of some format versions, they do not."""
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
        """For each contig that shares its window, by reference id, the first contig in that window."""
        found: dict[int, int] = {}
        for first, members in groupby(range(len(self.firsts)), key=self.firsts.__getitem__):
            sharing = list(members)
            if len(sharing) > 1:
                found |= dict.fromkeys(sharing, first)
        return found

    def sharing(self, reference_id: int) -> range:
        """Return the reference ids of all contigs in the window of a contig; only its own if it shares no window."""
        first = self.firsts[reference_id]
        return range(first, bisect_right(self.firsts, first))

    def shared_paths(self) -> Iterator[str]:
        """Yield the paths of the chunks that several contigs share."""
        for first, members in groupby(self.shared, key=self.shared.__getitem__):
            *_, last = members
            yield joined_path(first, last + 1)

    def path(self, reference_id: int, start: int) -> str:
        """Return the path of the chunk of a window, or, for reference id −1, of piece number `start`."""
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
        """Return the index of the window that starts at a position of a reference; None if it is not in this grid."""
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
        """Yield, for each contig (and for the reads without a position), the indices of its windows in this grid."""
        number, stop = self._part.start, self._part.stop
        while number < stop:
            reference_id = bisect_right(self._before, number)
            end = min(stop, self._before[reference_id]) if reference_id < len(self._before) else stop
            yield range(number - self._part.start, end - self._part.start)
            number = end

    def run(self, places: range) -> Window:
        """Return consecutive windows of one contig, joined into one."""
        first: Window = self[places[0]]
        return first._replace(end=self[places[-1]].end)

    def runs(self) -> Iterator[Window]:
        """Yield the windows of this grid, with those of each contig joined into one."""
        return map(self.run, self.contigs())


def last_window(length: int, chunk_size: int) -> int:
    """Return the start of the last window of a contig, which holds all reads that start there or later."""
    return (max(-(-length // chunk_size), 1) - 1) * chunk_size


def cells(run: Window, chunk_size: int) -> Iterator[Window]:
    """Yield the windows of which a run consists."""
    if run.reference_id == UNPLACED:
        yield run
        return
    for start in range(run.start, run.end, chunk_size):
        yield Window(run.reference_id, start, start + chunk_size)


Sizes = Sequence[int] | Mapping[int, int]
"""Bytes (or another weight) of each item. A mapping has only some of the items, by index; the others count as 0."""


def batch(items: Sequence[Item], sizes: Sizes, number: int, of: int) -> Sequence[Item]:
    """Return the `number`-th (from 1) of the runs of `split`; empty if there are fewer. Raises UsageError."""
    if not 1 <= number <= of:
        raise UsageError(f"batch {number}/{of}: use i/n with 1 ≤ i ≤ n")
    borders = _borders(sizes, len(items), of)
    return items[borders[number - 1] : borders[number]] if number < len(borders) else items[:0]


def split(items: Sequence[Item], sizes: Sizes, of: int) -> list[Sequence[Item]]:
    """Split windows or chunks into `of` runs so that the largest run is as small as possible.

    Each run has an item with a size above 0, so there are at most as many runs as such items. Negative sizes, as in a
    damaged index, count as 0. If all sizes are 0, all items count the same. The result depends only on the arguments.
    """
    return [items[start:end] for start, end in pairwise(_borders(sizes, len(items), of))]


def _borders(sizes: Sizes, count: int, of: int) -> list[int]:
    """Return the start of each run of `split`, and the end of the last one.

    A run begins with an item whose size is above 0, except that the first run begins with the first item.
    """
    pairs = sorted(sizes.items()) if isinstance(sizes, Mapping) else enumerate(sizes)
    sized = [(place, size) for place, size in pairs if size > 0]
    places: Sequence[int] = [place for place, _ in sized] or range(count)
    sums = list(accumulate((size for _, size in sized), initial=0)) if sized else range(count + 1)
    if not places:
        return [0]
    _, *starts = _starts(sums, min(of, len(places)))
    return [0, *(places[start] for start in starts), count]


def _starts(sums: Sequence[int], of: int) -> list[int]:
    """Return the first item of each of `of` runs of items whose sizes have these prefix sums.

    There must be at least `of` items. Among the solutions that minimize the largest run, this is one in which the size
    of each run is close to the mean of those that follow.
    """
    count, total = len(sums) - 1, sums[-1]
    most = _smallest_largest(sums, of)
    # For each run, starting with the last one, the earliest start with which it and the runs after it are small enough.
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
    """Return the smallest possible size of the largest of `of` runs."""

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
    """Parse `i/n` as (i, n) with 1 ≤ i ≤ n. Raises UsageError for other text; `what` names it in the message."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"{what} {text!r}: use i/n with 1 ≤ i ≤ n, for example 1/8")
    return int(match[1]), int(match[2])


def parse_size(text: str | int) -> int:
    """Parse a chunk size in bp; K and M mean 2^10 and 2^20. Raises UsageError unless it is one of CHUNK_SIZES."""
    match = re.fullmatch(r"(\d+)([kKmM]?)", str(text))
    size = int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2].lower()] if match else 0
    if size not in CHUNK_SIZES:
        raise UsageError(f"chunk size {text!r}: choose one of 256K, 512K, 1M, 2M, 4M, 8M (powers of two)")
    return size
