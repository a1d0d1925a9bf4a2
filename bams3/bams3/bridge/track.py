"""The depth of a contig, some bins at a time, so that it can be drawn as it is measured. Reads only hot streams."""

from __future__ import annotations

from array import array
from collections.abc import Generator
from typing import NamedTuple

from bams3.coverage.intervals import windows
from bams3.coverage.options import CoverageOptions
from bams3.coverage.write import region_values
from bams3.dataset.reader import DatasetReader
from bams3.parallel.workers import Workers, in_order


class DepthBins(NamedTuple):
    """Mean depths, as mosdepth counts them, of consecutive bins from position `start`, 0-based."""

    start: int
    means: array[float]


def bin_size(length: int, bins: int) -> int:
    """The smallest power of two, in bp, so that at most `bins` bins of this size cover a contig of `length` bp."""
    return 1 << (max(-(-length // bins), 1) - 1).bit_length()


def depth_track(
    dataset: DatasetReader, reference_id: int, size: int, workers: int | Workers = 1
) -> Generator[DepthBins, None, None]:
    """Yield the mean depths of a contig in bins of `size` bp, a power of two, without windows that have no reads.

    The last bin ends at the contig's end. Raises FormatError and OSError.
    """
    _, length = dataset.references[reference_id]
    step = max(dataset.manifest.chunk_size, size)

    def measured(start: int) -> DepthBins:
        groups = list(dataset.depth_row_groups(reference_id, start, min(start + step, length)))
        if not groups:
            return DepthBins(start, array("d"))
        bins = windows(length, size, start, start + step)
        return DepthBins(start, region_values(groups, reference_id, length, bins, CoverageOptions()))

    for found in in_order(measured, range(0, length, step), workers):
        if found.means:
            yield found
