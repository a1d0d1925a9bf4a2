"""The windows that a conversion covers (those of a batch, or those that the user names), and the reads in them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bams3.bam.regions import LAST
from bams3.dataset import layout
from bams3.dataset.hashed_paths import hashed
from bams3.dataset.layout import UNPLACED, Window
from bams3.dataset.plan import Plan
from bams3.errors import UsageError
from bams3.sources.inputs import Mapper, Source
from bams3.sources.meter import size_of

MANY_WINDOWS = 1 << 16
"""With more windows than this, the sizes of contigs are determined before those of windows."""


def part_name(plan: Plan, batch: tuple[int, int] | None, windows: Sequence[Window] | None) -> str | None:
    """Return the name of the part that a conversion of these windows writes; None if the whole source is converted."""
    if batch:
        return f"{batch[0]:06d}-of-{batch[1]:06d}"
    if windows:
        first = windows[0]
        contig = "_unplaced" if first[0] == UNPLACED else layout.encode_name(plan.references[first[0]][0])
        name = f"{contig}-{first.start:09d}"
        return hashed(name, plan.path_key) if plan.path_key else name
    return None


def _parse_windows(plan: Plan, texts: Sequence[str]) -> list[Window]:
    """Return the windows that the regions cover, with adjacent ones merged.

    Raises UsageError for a region that does not begin and end at chunk boundaries.
    """
    from bams3.bam.regions import Region, merge_regions, parse_regions

    wanted: list[Window] = []
    references = [(name, length) for name, length in plan.references]
    for text in texts:
        for region in parse_regions([text], references):
            if region.reference_id == UNPLACED:
                wanted.append(Window(UNPLACED, 0, 0))
                continue
            sharing = plan.grid.sharing(region.reference_id)
            if len(sharing) > 1:
                wanted.append(Window(sharing.start, 0, plan.chunk_size))
                continue
            length, first = references[region.reference_id][1], max(region.start, 0)
            if first and first >= length:
                raise UsageError(f"window {text}: past the end of the contig, which has {length} bp")
            if first % plan.chunk_size or (region.end % plan.chunk_size and region.end != length):
                raise UsageError(f"window {text}: it must begin and end at multiples of {plan.chunk_size} bp")
            count = max(-(-(region.end - first) // plan.chunk_size), 1)
            wanted.append(Window(region.reference_id, first, first + count * plan.chunk_size))
    return [Window(*region) for region in merge_regions(map(Region._make, wanted))]


def chosen_windows(
    plan: Plan, source: Source, batch: tuple[int, int] | None, windows: Sequence[str]
) -> list[Window] | None:
    """Return the windows of a batch, or the requested ones, with adjacent ones merged. None means all windows."""
    if batch:
        chosen = layout.batch(plan.grid, sizes_of(plan.grid, source), *batch)
        return list(chosen.runs())  # type: ignore[attr-defined]
    return _parse_windows(plan, windows) if windows else None


def sizes_of(grid: layout.Grid, source: Source) -> layout.Sizes:
    """Estimate, from the index of the source, how many of its bytes fall into each window.

    If there are very many windows, most are empty. Then whole contigs are measured first, and after that shorter and
    shorter runs of windows that have data.
    """
    if grid.shared:
        places = list(expanded(grid, grid))
        totals = [0] * len(grid)
        for (number, _), size in zip(places, source.sizes([window for _, window in places]), strict=True):
            totals[number] += size
        return totals
    if len(grid) <= MANY_WINDOWS:
        return source.sizes(grid)
    runs = list(grid.contigs())
    while True:
        sizes = zip(runs, source.sizes(list(map(grid.run, runs))), strict=True)
        sized = [(run, size) for run, size in sizes if size]
        if all(len(run) == 1 for run, _ in sized):
            return {run[0]: size for run, size in sized}
        runs = []
        for run, _ in sized:
            step = -(-len(run) // 64)
            runs += (run[at : at + step] for at in range(0, len(run), step))


def expanded(grid: layout.Grid, windows: Iterable[Window]) -> Iterator[tuple[int, Window]]:
    """Yield windows with their numbers. A window that contigs share is replaced by one whole window for each contig."""
    for number, window in enumerate(windows):
        sharing = grid.sharing(window.reference_id) if window.reference_id != UNPLACED else range(1)
        if len(sharing) == 1:
            yield number, window
        else:
            yield from ((number, Window(contig, 0, LAST)) for contig in sharing)


def size_to_read(path: str, source: Source, plan: Plan, windows: Sequence[Window] | None) -> int | None:
    """Return the number of bytes of the source at `path` that will be read; None if it is unknown.

    `windows`: the windows to read; None: all. For some windows, the number is an estimate from the source's index.
    """
    if windows is None:
        return size_of(path)
    return sum(source.sizes([place for _, place in expanded(plan.grid, windows)])) or None


def blocks_of(source: Source, plan: Plan, windows: Sequence[Window], mapper: Mapper) -> Iterator[Any]:
    """Yield blocks of the reads in some windows, in order, by means of the source's index."""
    ends = [_to_the_end(plan, window) for window in windows]
    places = [place for _, place in expanded(plan.grid, ends)]
    source.will_read(places)
    for reference_id, start, end in places:
        if reference_id == UNPLACED:
            yield from source.unplaced(mapper)
        else:
            yield from source.window(reference_id, start, end, mapper)


def _to_the_end(plan: Plan, window: Window) -> Window:
    """Extend the last window of a contig to LAST, because it also holds reads past the contig's end."""
    if window.reference_id == UNPLACED or window.end < plan.lengths[window.reference_id]:
        return window
    return window._replace(end=LAST)
