"""The intervals for which depth is summarized: windows of equal size, or the lines of a BED file."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import le

from bams3.bam.intervals import in_order
from bams3.errors import UsageError
from bams3.inflate import Opener, of_disk, whole_lines


class Intervals:
    """Intervals of one contig, 0-based half-open, sorted by start.

    ``starts`` and ``ends`` are ``array('q')``. ``names`` is empty, or has a name for each interval, ``b""`` if it has
    none.
    """

    __slots__ = ("ends", "names", "starts")

    def __init__(
        self, starts: Iterable[int] = (), ends: Iterable[int] = (), names: Iterable[bytes] = ()
    ) -> None:
        self.starts, self.ends, self.names = array("q", starts), array("q", ends), list(names)

    def __len__(self) -> int:
        return len(self.starts)

    def labels(self) -> list[bytes]:
        """Return the names, with ``b""`` for intervals without one."""
        return self.names or [b""] * len(self)

    def __getitem__(self, part: slice) -> Intervals:
        return Intervals(self.starts[part], self.ends[part], self.names[part])

    def in_order(self) -> Intervals:
        """Return the intervals stably sorted by start."""
        if all(map(le, self.starts, islice(self.starts, 1, None))):
            return self
        none = array("q", bytes(8 * len(self)))
        *_, order = in_order(array("i", bytes(4 * len(self))), self.starts, none)
        starts, ends, names = self.starts, self.ends, self.names
        return Intervals(
            map(starts.__getitem__, order), map(ends.__getitem__, order), map(names.__getitem__, order)
        )


def windows(length: int, size: int, begin: int = 0, stop: int | None = None) -> Intervals:
    """Return consecutive windows of ``size`` bases; the last window of a contig ends at the contig's end.

    ``begin`` and ``stop``, both starts of windows, select the windows that start in [begin, stop). The default is all
    windows.
    """
    starts = array("q", range(begin, length if stop is None else min(stop, length), size))
    ends = array("q", (start + size for start in starts))
    if ends:
        ends[-1] = min(ends[-1], length)
    return Intervals(starts, ends)


def read_intervals(path: str, warn: Callable[[str], None], opener: Opener = of_disk) -> dict[str, Intervals]:
    """Read the intervals of a BED file (plain or gzipped) as mosdepth does: contig → intervals, sorted by start.

    Comment and ``track`` lines are skipped; so are lines with fewer than three columns, with a warning. As in
    mosdepth, an empty line ends the file; there is a warning if lines follow it. ``opener`` opens the file. Raises
    `UsageError` if the file can't be read, or if a start or end is not an integer, negative, or out of order.
    """
    found: dict[bytes, Intervals] = {}
    contig, intervals = None, Intervals()
    lines = _lines(path, opener)
    for number, line in enumerate(lines, 1):
        if not line:
            if any(lines):
                warn(
                    f"{path}:{number}: an empty line ends the file, as in mosdepth; the lines after it are ignored"
                )
            break
        if line.startswith((b"#", b"track ")):
            continue
        columns = line.strip().split(b"\t", 5)
        if len(columns) < 3:
            warn(f"{path}:{number}: line skipped; it has fewer than 3 tab-separated columns")
            continue
        try:
            start, end = int(columns[1]), int(columns[2])
        except ValueError:
            raise UsageError(f"{path}:{number}: columns 2 and 3 of a BED line must be integers") from None
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
        raise UsageError(f"can't read the BED file {path}: {error.strerror or error}") from None
