"""BigWig files: depth per base as mosdepth counts it, or reads in bins as deepTools' bamCoverage counts them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3 import temporary
from bams3.bam import cigar
from bams3.coverage.options import CoverageOptions
from bams3.coverage.runs import check_cigars, counted
from bams3.coverage.selection import Accept, counting
from bams3.coverage.steps import Steps
from bams3.coverage.tally import Tally
from bams3.coverage.write import RowGroupsOf, contig_depths, contigs_of
from bams3.errors import UsageError
from bams3.extras import need
from bams3.output.files import open_output, refuse_inputs

if TYPE_CHECKING:
    import numpy as np

    from bams3.coverage.depth import Depth

NORMALIZATIONS = ("RPGC", "CPM", "BPM", "RPKM")
INTERVALS = 1 << 16
"""Number of intervals that are passed to pyBigWig at a time."""
_ZOOMS = 10
_ROOM = 64 << 20  # bytes; more than INTERVALS take
_QUERY = sum(1 << cigar.LETTERS.index(letter) for letter in cigar.OF_QUERY)
"""CIGAR operations that consume bases of the read, one bit each."""


class BinOptions(NamedTuple):
    """How reads are counted in bins: the `size` of bins in bp, and how counts are scaled (`normalize`, one of
    NORMALIZATIONS). `genome_size` is the effective genome size in bp, for RPGC.
    """

    size: int
    normalize: str | None = None
    genome_size: int | None = None

    def check(self, options: CoverageOptions) -> None:
        """Raise UsageError if options contradict each other."""
        if options.fast_mode or options.fragment_mode:
            mode = "--fast-mode" if options.fast_mode else "--fragment-mode"
            raise UsageError(f"--bin counts reads by their aligned bases; leave out --bin or {mode}")
        if self.normalize == "RPGC" and self.genome_size is None:
            raise UsageError(
                "--normalize RPGC divides by the size of the genome; give --effective-genome-size"
            )
        if self.normalize != "RPGC" and self.genome_size is not None:
            raise UsageError("--effective-genome-size is for --normalize RPGC; leave it out")

    def scale(self, kept: _Kept) -> float:
        """Return the factor by which counts are scaled, with the same order of operations as in bamCoverage."""
        if not kept.reads:
            return 1.0
        millions, kilobases = kept.reads / 1e6, self.size / 1000
        if self.normalize == "RPGC":
            assert self.genome_size is not None
            return 1.0 / (kept.reads * kept.median_length() / self.genome_size)
        if self.normalize == "CPM":
            return 1.0 / millions
        if self.normalize == "RPKM":
            return 1.0 / (millions * kilobases)
        return 1.0 / (kept.reads / kilobases / 1e6 * kilobases)


class _Kept:
    """The number and the lengths of the reads that count."""

    def __init__(self) -> None:
        self.reads = 0
        self._lengths = Counter[int]()

    def add(self, group: Any, mask: bytearray, *, lengths: bool) -> None:
        self.reads += mask.count(1)
        if lengths:
            import numpy as np

            chosen = _query_lengths(group)[np.frombuffer(mask, bool)]
            self._lengths.update(
                dict(zip(*(each.tolist() for each in np.unique(chosen, return_counts=True)), strict=True))
            )

    def median_length(self) -> int:
        """The median length of the reads that have a CIGAR, rounded down; 1 if there are none."""
        del self._lengths[0]
        total, seen, middle = self._lengths.total(), 0, list[int]()
        for length in sorted(self._lengths):
            before, seen = seen, seen + self._lengths[length]
            middle += [length for k in ((total - 1) // 2, total // 2) if before <= k < seen]
        return sum(middle) // 2 or 1


def _query_lengths(group: Any) -> np.ndarray:
    """The number of bases of each read, by its CIGAR."""
    import numpy as np

    check_cigars(group.cigar_start, group.cigar_count, len(group.cigar_pool))
    pool = np.frombuffer(group.cigar_pool, np.uint32).astype(np.int64)
    sums = np.zeros(len(pool) + 1, np.int64)
    np.cumsum((pool >> 4) * (_QUERY >> (pool & 15) & 1), out=sums[1:])
    starts = np.frombuffer(group.cigar_start, np.uint32).astype(np.int64)
    return sums[starts + np.frombuffer(group.cigar_count, np.uint32)] - sums[starts]


def write_bigwig(
    out: str,
    references: Sequence[tuple[str, int]],
    row_groups_of: RowGroupsOf,
    options: CoverageOptions,
    bins: BinOptions | None = None,
    *,
    accept: Accept | None = None,
    stretches_of: Callable[[int], Iterable[Any]] | None = None,
    inputs: Sequence[str] = (),
) -> None:
    """Write a bigWig file to a path or URI, whole or not at all: depth per base or, with `bins`, reads in bins.

    The other arguments are those of `write_coverage`. Raises UsageError as that does, and for contigs or values that a
    bigWig cannot hold.
    """
    need("pyBigWig", "--bigwig")
    if bins:
        bins.check(options)
    contigs = contigs_of(references, options)
    refuse_inputs(out, *inputs)
    with open_output(out) as file, tempfile.NamedTemporaryFile(suffix=".bw", dir=temporary.folder()) as made:
        track = _Track(made.name, references)
        if bins:
            size, scale = bins.size, None
            if bins.normalize:
                scale = bins.scale(_kept(len(references), row_groups_of, options, bins, accept))
            depths = _bin_depths(contigs, row_groups_of, options, size, accept)
        else:
            size, scale = 1, None
            depths = contig_depths(
                contigs, row_groups_of, options, True, accept=accept, stretches_of=stretches_of
            )
        for (_, name, length), of_contig in zip(contigs, depths, strict=True):
            for starts, ends, values in _intervals(of_contig, length, size):
                track.add(name, starts, ends, values if scale is None else _scaled(values, scale))
        track.close()
        shutil.copyfileobj(made, file)


class _Track:
    """A bigWig file that is being written."""

    def __init__(self, path: str, references: Sequence[tuple[str, int]]) -> None:
        import pyBigWig

        for name, _ in references:
            if not name.isascii():
                raise UsageError(
                    f"contig {name!r}: a bigWig file can only have names in ASCII; rename the contig"
                )
        if not any(length for _, length in references):
            raise UsageError(
                "the header has no contig with a length, so there is nothing that a bigWig file can hold"
            )
        self._open, self._path, self._bases = pyBigWig.open, path, 0
        self._file = self._open(path, "w")
        self._file.addHeader([contig for contig in references if contig[1]], maxZooms=_ZOOMS)

    def add(self, name: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        _need_room(_ROOM)
        self._file.addEntries([name] * len(starts), starts, ends=ends, values=values)
        self._bases += int((ends - starts).sum())

    def close(self) -> None:
        """Complete the file: libBigWig adds zoom levels. Raises OSError if the file is incomplete afterwards."""
        _need_room(_ROOM + os.path.getsize(self._path))
        self._file.close()
        with self._open(self._path) as written:
            if written.header()["nBasesCovered"] != self._bases:
                raise OSError(
                    f"{temporary.folder()}: the bigWig file was not written completely there; try again"
                )


def _need_room(size: int) -> None:
    """Raise OSError unless this many bytes are free for temporary files, because libBigWig hangs on a full disk."""
    folder = temporary.folder()
    if shutil.disk_usage(folder).free < size:
        raise OSError(
            f"{folder}: less than {size >> 20} MiB is free for the bigWig file, which is first written there; "
            "set TMPDIR to a folder with more space"
        )


def _intervals(
    depths: Iterable[Depth], length: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield starts, ends and depths of the runs of equal depth of a contig. Each value in `depths` stands for `size`
    bp."""
    import numpy as np

    steps, position = Steps(INTERVALS), 0

    def taken() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        starts, ends, values = (np.frombuffer(column, np.uint32).astype(np.int64) for column in steps.take())
        return starts * size, np.minimum(ends * size, length), values.astype(np.float64)

    for depth in depths:
        end = position + len(depth)
        while position < end:
            position = steps.add(depth, position)
            if steps.pending >= INTERVALS:
                yield taken()
    steps.end(position)
    if steps.pending:
        yield taken()


def _scaled(counts: np.ndarray, scale: float) -> np.ndarray:
    """Scale counts, and round them to six digits as bamCoverage does."""
    import numpy as np

    distinct, places = np.unique(counts, return_inverse=True)
    return np.array([float(f"{scale * count:g}") for count in distinct])[places]


def _kept(
    references: int,
    row_groups_of: RowGroupsOf,
    options: CoverageOptions,
    bins: BinOptions,
    accept: Accept | None,
) -> _Kept:
    """Count the reads that count, on all contigs."""
    kept = _Kept()
    for groups in row_groups_of(range(references)):
        for group in groups:
            kept.add(group, counting(group, options, accept), lengths=bins.normalize == "RPGC")
    return kept


def _bin_depths(
    contigs: Sequence[tuple[int, str, int]],
    row_groups_of: RowGroupsOf,
    options: CoverageOptions,
    size: int,
    accept: Accept | None,
) -> Iterator[Iterable[Depth]]:
    """Yield, for each contig, the number of reads in each bin, as the depth of a contig whose positions are bins."""
    every_group = row_groups_of([reference_id for reference_id, _, _ in contigs])
    for (_, _, length), groups in zip(contigs, every_group, strict=True):
        yield _counts(groups, -(-length // size), options, size, accept)


def _counts(
    groups: Iterable[Any], bins: int, options: CoverageOptions, size: int, accept: Accept | None
) -> Iterator[Depth]:
    tally = Tally(bins, exclude_flags=0, incremental=True)
    for group in groups:
        tally.add(counted(group, counting(group, options, accept), bin=size))
        if (depth := tally.settled()) is not None:
            yield depth
    yield tally.finish()
