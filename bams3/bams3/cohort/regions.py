"""The intervals over which a cohort is measured: its regions, and bins for the profile of the genome."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence

from bams3.bam.intervals import merged
from bams3.coverage.intervals import Intervals, read_intervals, windows
from bams3.errors import UsageError
from bams3.output.files import open_output
from bams3.shown import field, is_plain

PLACE = ("contig", "start", "end", "name")
"""The columns that describe regions. In a matrix, they come before the columns of samples."""

LONGEST_NAME = 1 << 20
"""Maximum length in bytes of the name of a region."""

MOST_BINS = 3500
"""Maximum number of bins of a genome: few enough for a screen to show, and for 1,000 samples to fit in a page."""

Contigs = Sequence[tuple[str, int]]


def write_regions(path: str, by: str | int, contigs: Contigs) -> None:
    """Write a BED file with four columns, ordered by contig and start, from `by`: a BED file or a window size in bp.

    Regions without a name are named `contig:start-end` (1-based with both ends included). Control characters in names
    are escaped, and other bytes are kept. Regions that are not on `contigs` are dropped. Raises UsageError if a contig
    cannot be represented in a BED file, if a name is too long, or if there are no regions.
    """
    check_contigs(contigs)
    if isinstance(by, int):
        found = {name: windows(length, by) for name, length in contigs}
    else:
        notes: list[str] = []
        found = read_intervals(by, notes.append)
        for note in notes:
            raise UsageError(f"{note}; remove the line or fix it")
    if not any(len(found.get(name, ())) for name, _ in contigs):
        raise UsageError(
            f"{by}: no regions on the contigs that are measured; use a BED file that has some, or a window size"
        )
    _write(path, ((name, found[name]) for name, _ in contigs if name in found))


def write_targets(path: str, regions: str, contigs: Contigs) -> None:
    """Write a BED file of the bases that regions cover: overlapping or adjacent regions are merged, ends are
    clipped."""
    lengths = dict(contigs)
    with open_output(path) as file:
        for contig, found in read_intervals(regions, print).items():
            ends = array("q", (min(end, lengths[contig]) for end in found.ends))
            for start, end in zip(*merged(found.starts, ends), strict=True):
                if start < end:
                    file.write(f"{contig}\t{start}\t{end}\n".encode(errors="surrogateescape"))


def check_contigs(contigs: Contigs) -> None:
    """Raise UsageError if a contig's name cannot be represented in a BED file."""
    for name, _ in contigs:
        if name.startswith("#") or " " in name or not is_plain(name):
            raise UsageError(
                f"contig {name!r}: its name cannot be used in a BED file (it starts with #, or contains spaces or "
                "control characters); rename it in the alignments (samtools reheader)"
            )


def write_bins(path: str, contigs: Contigs) -> None:
    """Write a BED file of at most `MOST_BINS` equal bins, on the longest contigs with at least a quarter of a bin."""
    size = bin_size(sum(length for _, length in contigs))
    shown: dict[str, int] = {}
    for name, length in sorted(contigs, key=lambda contig: -contig[1]):
        bins = -(-length // size)
        if 4 * length >= size and sum(shown.values()) + bins <= MOST_BINS:
            shown[name] = bins
    _write(path, ((name, windows(length, size)) for name, length in contigs if name in shown))


def bin_size(length: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 … that divides a length into at most `MOST_BINS` bins."""
    size = 1
    while length > MOST_BINS * size:
        size = size * 5 // 2 if str(size)[0] == "2" else size * 2
    return size


def is_autosome(contig: str, contigs: Iterable[str]) -> bool:
    """Whether a contig is a numbered chromosome or, if no contig has a number, not X, Y, Z, W or from an organelle."""
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
                f"the name of region {contig}:{start + 1}-{end} has {len(name)} bytes; the limit is {LONGEST_NAME}"
            )
        label = field(name.decode(errors="surrogateescape"))
        if not label.strip(" "):
            label = f"{contig}:{start + 1}-{end}"
        yield f"{contig}\t{start}\t{end}\t{label}\n".encode(errors="surrogateescape")
