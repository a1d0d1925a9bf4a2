"""The intervals that depth is summarised over: equal windows, or the lines of a BED file."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import le

from bams3.bam.intervals import in_order
from bams3.errors import UsageError
from bams3.inflate import Opener, of_disk, whole_lines


class Intervals:
    """Intervals of one contig in order of their starts, 0-based half-open.

    ``starts`` and ``ends`` are ``array('q')``; ``names`` is empty, or holds a name (``b""``: none) for each.
    """

    __slots__ = ("ends", "names", "starts")

    def __init__(
        self, starts: Iterable[int] = (), ends: Iterable[int] = (), names: Iterable[bytes] = ()
    ) -> None:
        self.starts, self.ends, self.names = array("q", starts), array("q", ends), list(names)

    def __len__(self) -> int:
        return len(self.starts)

    def labels(self) -> list[bytes]:
        """The names, ``b""`` for intervals that have none."""
        return self.names or [b""] * len(self)

    def __getitem__(self, part: slice) -> Intervals:
        return Intervals(self.starts[part], self.ends[part], self.names[part])

    def in_order(self) -> Intervals:
        """The same, sorted by start; intervals of one start keep their order."""
        if all(map(le, self.starts, islice(self.starts, 1, None))):
            return self
        none = array("q", bytes(8 * len(self)))
        *_, order = in_order(array("i", bytes(4 * len(self))), self.starts, none)
        starts, ends, names = self.starts, self.ends, self.names
        return Intervals(
            map(starts.__getitem__, order), map(ends.__getitem__, order), map(names.__getitem__, order)
        )


def windows(length: int, size: int, begin: int = 0, stop: int | None = None) -> Intervals:
    """Consecutive windows of ``size`` bases; the last one ends where the contig does.

    Those from ``begin``, the start of one, to before ``stop``, the start of another; all by default.
    """
    starts = array("q", range(begin, length if stop is None else min(stop, length), size))
    ends = array("q", (start + size for start in starts))
    if ends:
        ends[-1] = min(ends[-1], length)
    return Intervals(starts, ends)


def read_intervals(path: str, warn: Callable[[str], None], opener: Opener = of_disk) -> dict[str, Intervals]:
    """Intervals of a BED file (plain or gzipped) by contig, sorted by start, as mosdepth reads it.

    Comment and ``track`` lines are skipped; so are lines of fewer than three columns, with a warning. Like
    mosdepth, reading stops at an empty line; that is said too when lines follow. ``opener`` opens the
    file. Raises `UsageError` for a file that can't be read and for bounds that are no integers, negative,
    or out of order.
    """
    found: dict[bytes, Intervals] = {}
    contig, intervals = None, Intervals()
    lines = _lines(path, opener)
    for number, line in enumerate(lines, 1):
        if not line:
            if any(lines):
                warn(f"{path}:{number}: the empty line ends the intervals; the lines after it are not used")
            break
        if line.startswith((b"#", b"track ")):
            continue
        columns = line.strip().split(b"\t", 5)
        if len(columns) < 3:
            warn(f"{path}:{number}: skipped, fewer than 3 columns between tabs")
            continue
        try:
            start, end = int(columns[1]), int(columns[2])
        except ValueError:
            raise UsageError(f"{path}:{number}: the columns 2 and 3 of a BED line are integers") from None
        if not 0 <= start <= end < 2**32:
            raise UsageError(f"{path}:{number}: {start}-{end} is not an interval (0 <= start <= end)")
        if columns[0] != contig:
            contig = columns[0]
            intervals = found.setdefault(contig, Intervals())
        intervals.starts.append(start)
        intervals.ends.append(end)
        intervals.names.append(columns[3] if len(columns) > 3 else b"")
    return {
        contig.decode(errors="surrogateescape"): intervals.in_order() for contig, intervals in found.items()
    }


def _lines(path: str, opener: Opener) -> Iterator[bytes]:
    try:
        with opener(path) as file:
            for text in whole_lines(file, lone_returns=False):
                text_lines = text.removesuffix(b"\n").split(b"\n")
                yield from (line.removesuffix(b"\r") for line in text_lines) if b"\r" in text else text_lines
    except OSError as error:
        raise UsageError(f"can't read the BED file {path}: {error}") from None
