"""Files of targets, read as bcftools reads them: the name of a file determines the meaning of its columns."""

import gzip
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

from bams3.errors import UsageError

Interval = tuple[str, int, int]


class Targets:
    """Intervals (contig, start, end) that can be searched by position.

    Those of a contig are sorted and do not overlap.
    """

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._by_contig: dict[str, list[Interval]] = {}
        for interval in intervals:
            self._by_contig.setdefault(interval[0], []).append(interval)

    def within(self, contig: str, start: int, end: int) -> Iterator[Interval]:
        """Yield the intervals clipped to [start, end) of a contig."""
        intervals = self._by_contig.get(contig, [])
        for at in range(bisect_right(intervals, start, key=itemgetter(2)), len(intervals)):
            _, first, last = intervals[at]
            if first >= end:
                return
            yield contig, max(start, first), min(end, last)

    def any_within(self, intervals: Iterable[Interval]) -> bool:
        return any(True for interval in intervals for _ in self.within(*interval))


_BED = (".bed", ".bed.gz")
_VCF = (".vcf", ".vcf.gz")


def read_targets(data: bytes, path: str) -> list[Interval]:
    """Return the targets of a file as (contig, start, end), 0-based and half-open, sorted within each contig.

    Overlapping and adjacent targets are merged. A `.bed` file has 0-based, half-open intervals; a `.vcf` has 1-based
    positions; any other file has 1-based positions or closed intervals. All may be gzipped. Raises UsageError for a
    malformed line.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{path}: {error}") from None
    found: dict[bytes, list[tuple[int, int]]] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip() or line.startswith((b"#", b"track ", b"browser ")):
            continue
        contig, start, end = _target(line.split(), path, number)
        if start < end:
            found.setdefault(contig, []).append((start, end))
    return [
        (contig.decode(errors="surrogateescape"), start, end)
        for contig, intervals in found.items()
        for start, end in _united(sorted(intervals))
    ]


def _target(cells: list[bytes], path: str, number: int) -> tuple[bytes, int, int]:
    is_bed = path.endswith(_BED)
    last = cells[2] if len(cells) > 2 and not path.endswith(_VCF) else cells[1] if len(cells) > 1 else b""
    if not is_bed and not last.isdigit():
        last = cells[1] if len(cells) > 1 else b""
    try:
        start, end = int(cells[1]) - (not is_bed), int(last)
    except (ValueError, IndexError):
        start, end = -1, 0
    if not 0 <= start <= end or (is_bed and len(cells) < 3):
        columns = (
            "contig, start and end (0-based)"
            if is_bed
            else "contig, position (1-based), and optionally an end"
        )
        raise UsageError(f"{path}:{number}: not a target; a line must have {columns}")
    return cells[0], start, end


def _united(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in intervals:
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united
