"""The intervals that a cohort is measured over: its regions, and the bins that show its genome."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence

from bams3.bam.intervals import merged
from bams3.coverage.intervals import Intervals, read_intervals, windows
from bams3.errors import UsageError
from bams3.output.files import open_output
from bams3.shown import field, is_plain

PLACE = ("contig", "start", "end", "name")
"""The columns of regions: those of a matrix before those of the samples."""

LONGEST_NAME = 1 << 20
"""Of a region, in bytes."""

MOST_BINS = 3500
"""Of a genome: as many as a screen can show, and 1,000 samples of them fit in a page."""

Contigs = Sequence[tuple[str, int]]


def write_regions(path: str, by: str | int, contigs: Contigs) -> None:
    """A BED file of four columns, in the order of the contigs and of starts: `by` a BED file, or windows of so many bp.

    Regions without a name get `contig:start-end` (1-based, closed); control characters in names are escaped, other
    bytes stay; those of other contigs are left out. Raises UsageError for a contig that is not fit for a BED file, for
    a name that is too long, and if there are no regions.
    """
    check_contigs(contigs)
    if isinstance(by, int):
        found = {name: windows(length, by) for name, length in contigs}
    else:
        notes: list[str] = []
        found = read_intervals(by, notes.append)
        for note in notes:
            raise UsageError(f"{note}; remove the line, or mend it")
    if not any(len(found.get(name, ())) for name, _ in contigs):
        raise UsageError(
            f"{by}: no regions of the contigs that are measured; give a BED file with some, or the size of windows"
        )
    _write(path, ((name, found[name]) for name, _ in contigs if name in found))


def write_targets(path: str, regions: str, contigs: Contigs) -> None:
    """A BED file of what regions cover: those that overlap or touch are one, and none goes beyond its contig's end."""
    lengths = dict(contigs)
    with open_output(path) as file:
        for contig, found in read_intervals(regions, print).items():
            ends = array("q", (min(end, lengths[contig]) for end in found.ends))
            for start, end in zip(*merged(found.starts, ends), strict=True):
                if start < end:
                    file.write(f"{contig}\t{start}\t{end}\n".encode(errors="surrogateescape"))


def check_contigs(contigs: Contigs) -> None:
    """Raises UsageError for a contig that no line of a BED file can be of."""
    for name, _ in contigs:
        if name.startswith("#") or " " in name or not is_plain(name):
            raise UsageError(
                f"contig {name!r}: no BED file can have regions of it (of a name that begins with #, or has blanks or "
                "control characters in it); rename it in the alignments (samtools reheader)"
            )


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
    with open_output(path) as file:
        for contig, found in intervals:
            file.writelines(_lines(contig, found))


def _lines(contig: str, found: Intervals) -> Iterator[bytes]:
    for start, end, name in zip(found.starts, found.ends, found.labels(), strict=True):
        if len(name) > LONGEST_NAME:
            raise UsageError(
                f"the name of region {contig}:{start + 1}-{end} has {len(name)} bytes; {LONGEST_NAME} are possible"
            )
        label = field(name.decode(errors="surrogateescape"))
        if not label.strip(" "):
            label = f"{contig}:{start + 1}-{end}"
        yield f"{contig}\t{start}\t{end}\t{label}\n".encode(errors="surrogateescape")
