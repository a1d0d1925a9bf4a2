"""Where things are in a dataset, and the grid of windows."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

from bams3.errors import UsageError

Item = TypeVar("Item")

METADATA = "_metadata.json"
HEADER = "_header.sam"
INDEX = "_index/chunks.json.zst"
PARTS = "_parts"
DATA = "data"

UNPLACED = -1  # reference id of reads with no position
UNPLACED_FOLDER = "_unplaced"

ROW_GROUP_SHIFT = 17  # row groups end where windows of 2^17 bp do …
SMALL_ROW_GROUP = 1 << 12  # … unless they have fewer records, and are …
ROW_GROUP_RECORDS = 1 << 16  # … of at most so many records …
ROW_GROUP_BYTES = 32 << 20  # … and, but for a last one that is longer, bytes of BAM records
UNPLACED_ROW_GROUPS = 8  # of a chunk of reads with no position

DEFAULT_CHUNK_SIZE = 1 << 20
CHUNK_SIZES = tuple(1 << shift for shift in range(18, 24))

LONGEST_NAME = 200  # of a contig, as a path component

_PLAIN = re.compile(r"[A-Za-z0-9._-]")


class Window(NamedTuple):
    """One cell of the grid: reads of `reference_id` that start in [start, end), 0-based.

    Reads with no position are one window: (UNPLACED, 0, 0).
    """

    reference_id: int
    start: int
    end: int


@lru_cache(64)
def encode_name(contig: str) -> str:
    """A contig's name as a path component: percent-encoding outside [A-Za-z0-9._-], and of a leading . or _.

    File systems allow 255 bytes, so of what would have more than 200 the last ones make place for ~ and a hash.
    """
    encoded = "".join(
        chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"%{byte:02X}"
        for byte in contig.encode("utf-8", "surrogateescape")
    )
    if encoded[0] in "._":
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) > LONGEST_NAME:
        import hashlib

        digest = hashlib.sha256(contig.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        encoded = f"{encoded[: LONGEST_NAME - 33]}~{digest}"
    return encoded


def chunk_path(contig: str, start: int, end: int) -> str:
    """Path of the chunk of a window: `data/chr1/000000000-001048576.chunk`."""
    return f"{DATA}/{encode_name(contig)}/{start:09d}-{end:09d}.chunk"


def unplaced_path(number: int) -> str:
    """Path of a chunk of reads with no position."""
    return f"{DATA}/{UNPLACED_FOLDER}/{number:06d}.chunk"


def grid(references: Sequence[tuple[str, int]], chunk_size: int) -> Iterator[Window]:
    """All windows of a genome in order, that of the reads with no position last.

    A contig has at least one window (a read may start anywhere, even in a contig of length 0), and
    reads that start past a contig's end belong to the window that their start falls in all the same.
    """
    for reference_id, (_, length) in enumerate(references):
        for start in range(0, max(length, 1), chunk_size):
            yield Window(reference_id, start, start + chunk_size)
    yield Window(UNPLACED, 0, 0)


def batch(windows: Sequence[Item], sizes: Sequence[int], number: int, of: int) -> Sequence[Item]:
    """The `number`-th (from 1) of the runs of `split`; empty if there are fewer than that."""
    if not 1 <= number <= of:
        raise UsageError(f"batch {number}/{of}: give i/n with 1 ≤ i ≤ n")
    runs = split(windows, sizes, of)
    return runs[number - 1] if number <= len(runs) else windows[:0]


def split(items: Sequence[Item], sizes: Sequence[int], of: int) -> list[Sequence[Item]]:
    """Windows or chunks as `of` runs, of which the largest is as small as it can be; none is empty, so there are no
    more of them than items.

    `sizes`: bytes of each, or what else is shared out; less than 0, as a damaged index may have it, is 0. If all are 0,
    each counts the same. The result depends on the arguments alone.
    """
    counted = [max(size, 0) for size in sizes]
    borders = _borders(counted if any(counted) else [1] * len(items), min(of, len(items)))
    return [items[start:end] for start, end in pairwise(borders)]


def _borders(sizes: Sequence[int], of: int) -> list[int]:
    """Where each of `of` runs begins, and where the last ends; there are at least as many sizes.

    Of all ways to have the smallest largest run this is one whose runs are each near the mean of what is left.
    """
    count = len(sizes)
    before = list(accumulate(sizes, initial=0))
    most = _smallest_largest(before, max(sizes, default=0), of)
    # Of each run, from the last, where it may end at the soonest for those after it to suffice.
    soonest = [count]
    while len(soonest) < of:
        soonest.append(bisect_left(before, before[soonest[-1]] - most))
    borders = [0]
    for later in reversed(range(of)):
        start = borders[-1]
        aim = before[start] + (before[count] - before[start]) // (later + 1)
        end = bisect_left(before, aim)
        if end and aim - before[end - 1] < before[end] - aim:
            end -= 1
        end = min(end, _furthest(before, start, most), count - later)
        borders.append(max(end, soonest[later], start + 1))
    return borders


def _smallest_largest(before: Sequence[int], low: int, of: int) -> int:
    """The size of the largest of `of` runs where that is smallest; `before`: the sum of sizes before each item, and in
    all; `low`: the largest item's size."""

    def suffices(most: int) -> bool:
        end = 0
        for _ in range(of):
            end = _furthest(before, end, most)
        return before[end] == before[-1]

    high = before[-1]
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low


def _furthest(before: Sequence[int], start: int, most: int) -> int:
    """Where the longest run from `start` on that is no larger than `most` ends."""
    return bisect_right(before, before[start] + most) - 1


def runs(windows: Sequence[Window]) -> list[list[int]]:
    """Windows as [reference_id, start, end] of runs that follow each other."""
    found: list[list[int]] = []
    for window in windows:
        if found and found[-1][0] == window.reference_id and found[-1][2] == window.start and window.end:
            found[-1][2] = window.end
        else:
            found.append(list(window))
    return found


def parse_fraction(text: str, what: str = "batch") -> tuple[int, int]:
    """`i/n` → (i, n), 1 ≤ i ≤ n."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"{what} {text!r}: give i/n with 1 ≤ i ≤ n, for example 1/8")
    return int(match[1]), int(match[2])


def parse_size(text: str | int) -> int:
    """A chunk size: bases, or with K or M for 2^10 or 2^20. Raises UsageError unless it is one of CHUNK_SIZES."""
    match = re.fullmatch(r"(\d+)([kKmM]?)", str(text))
    size = int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2].lower()] if match else 0
    if size not in CHUNK_SIZES:
        raise UsageError(f"chunk size {text!r}: choose one of 256K, 512K, 1M, 2M, 4M, 8M (powers of two)")
    return size
