"""The intervals that a cohort is measured over: its regions, and the bins that show its genome."""

import re
from collections.abc import Iterable, Iterator, Sequence

from bams3.errors import UsageError
from bams3.operations.coverage.intervals import Intervals, read_bed, windows
from bams3.operations.outputs import opened

MOST_BINS = 3500
"""Of a genome: as many as a screen can show, and 1,000 samples of them fit in a page."""

Contigs = Sequence[tuple[str, int]]


def write_regions(path: str, by: str | int, contigs: Contigs) -> None:
    """A BED file of four columns, in the order of the contigs and of starts: `by` a BED file, or windows of so many bp.

    Regions without a name get `contig:start-end` (1-based, closed); those of other contigs are left out. Raises
    UsageError if there are no regions.
    """
    if isinstance(by, int):
        found = {name: windows(length, by) for name, length in contigs}
    else:
        notes: list[str] = []
        found = read_bed(by, notes.append)
        for note in notes:
            raise UsageError(f"{note}; remove the line, or mend it")
    if not any(len(found.get(name, ())) for name, _ in contigs):
        raise UsageError(
            f"{by}: no regions of the contigs that are measured; give a BED file with some, or the size of windows"
        )
    _write(path, ((name, found[name]) for name, _ in contigs if name in found))


def write_bins(path: str, contigs: Contigs) -> None:
    """A BED file of at most `MOST_BINS` equal bins, of the longest contigs, each at least a quarter of one."""
    size = bin_size(sum(length for _, length in contigs))
    shown: dict[str, int] = {}
    for name, length in sorted(contigs, key=lambda contig: -contig[1]):
        bins = -(-length // size)
        if 4 * length >= size and sum(shown.values()) + bins <= MOST_BINS:
            shown[name] = bins
    _write(path, ((name, windows(length, size)) for name, length in contigs if name in shown))


def bin_size(length: int) -> int:
    """The least of 1, 2, 5, 10, 20 … by which a length is no more than `MOST_BINS` bins."""
    size = 1
    while length > MOST_BINS * size:
        size = size * 5 // 2 if str(size)[0] == "2" else size * 2
    return size


def is_autosome(contig: str, contigs: Iterable[str]) -> bool:
    """Is a contig one of the numbered chromosomes, or, where none has a number, not X, Y, Z, W or of an organelle?"""
    if any(map(_NUMBERED.fullmatch, contigs)):
        return bool(_NUMBERED.fullmatch(contig))
    return not _OTHER.fullmatch(contig)


_NUMBERED = re.compile(r"(?:chr)?\d+[LR]?")
_OTHER = re.compile(r"(?:chr)?(?:[XYZWM]|MT|Mt|Pt)")


def _write(path: str, intervals: Iterable[tuple[str, Intervals]]) -> None:
    with opened(path) as file:
        for contig, found in intervals:
            file.writelines(_lines(contig, found))


def _lines(contig: str, found: Intervals) -> Iterator[bytes]:
    for start, end, name in zip(found.starts, found.ends, found.labels(), strict=True):
        label = name.decode(errors="surrogateescape") or f"{contig}:{start + 1}-{end}"
        yield f"{contig}\t{start}\t{end}\t{label}\n".encode(errors="surrogateescape")
