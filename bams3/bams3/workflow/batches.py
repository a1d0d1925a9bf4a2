"""The batches that a sample is handled in: `000001-of-000004`, …"""

import io
import re
from collections.abc import Mapping
from typing import Any

from bams3.bam.regions import RegionTable, parse_regions, read_bed
from bams3.dataset.layout import Grid
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.storage import open_storage
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.places import Places, is_local
from bams3.workflow.reference import Contigs
from bams3.workflow.samples import Row, bytes_of, index_told


def batches_of(row: Row, settings: Mapping[str, Any], windows: Grid, places: Places) -> list[str]:
    """The batches of a sample; `settings`: `convert` in the configuration; `windows`: those of a dataset.

    They depend on these and on this one sample alone: so others may come without its batches being others, and every
    job, which reads this, looks at its own sample.
    """
    wanted = settings["chunks_per_batch"]
    if wanted == "auto":
        count = -(-bytes_of(row, places) // (settings["gigabytes_per_batch"] * 1e9))
    else:
        count = -(-_count_held(row, windows, places) // wanted)
    return _names(min(count, len(windows)))


def query_batches_of(batches: list[str], settings: Mapping[str, Any], touched: int) -> list[str]:
    """The batches of a query of a sample that has these batches; `touched`: how many windows the regions overlap."""
    wanted = settings["chunks_per_batch"]
    return _names(min(len(batches), touched if wanted == "auto" else -(-touched // wanted)))


def _names(count: float) -> list[str]:
    """The batches of so many, of which there is at least one."""
    count = max(int(count), 1)
    return [f"{i + 1:06d}-of-{count:06d}" for i in range(count)]


def _count_held(row: Row, windows: Grid, places: Places) -> int:
    """How many windows hold reads: those of a dataset that is given, or by the index of a local BAM; otherwise all.

    Of a module all, too: a rule that is yet to be read may make the BAM, its index or the dataset.
    """
    if places.run.is_module:
        return len(windows)
    try:
        if "dataset" in row:
            return len({entry.window for entry in DatasetReader(row["dataset"]).objects})
        return _count_indexed(row, windows, places)
    except Bams3Error as error:
        raise ConfigurationError(f"sample {row['sample']}: {error}") from None


def _count_indexed(row: Row, windows: Grid, places: Places) -> int:
    from bams3.operations.windows import sizes_of
    from bams3.sources.bam import open_source

    index = index_told(row, is_module=False)
    files = (row["alignments"], index)
    if not all(path and is_local(path) and not places.is_made(path) for path in files):
        return len(windows)
    with open_source(row["alignments"], index=index) as source:
        sizes = sizes_of(windows, source)
        held = sum(size > 0 for size in (sizes.values() if isinstance(sizes, Mapping) else sizes))
        counts = None if held else source.counts()
    return held if held or counts else len(windows)


def count_touched(settings: Mapping[str, Any], contigs: Contigs, windows: Grid, places: Places) -> int:
    """How many windows the regions of a query overlap; all if only a later job can know; `settings`: `query`."""
    path = settings.get("bed")
    if path is None:
        regions: Any = parse_regions(settings["regions"], contigs)
    elif (data := places.stored(path, "check config: query: bed")) is None:
        return len(windows)
    else:
        regions = read_bed(path, contigs, opener=lambda _: io.BytesIO(data))
    count, shared = 0, set()
    for reference_id, starts, ends in RegionTable.of(regions).merged():
        if reference_id < 0:
            count += 1
            continue
        if reference_id in windows.shared:
            shared.add(windows.shared[reference_id])
            continue
        last = max(-(-contigs[reference_id][1] // windows.chunk_size), 1) - 1
        counted = -1
        for start, end in zip(starts, ends, strict=True):
            first = max(min(max(start, 0) // windows.chunk_size, last), counted + 1)
            counted = max(min(max(end - 1, start, 0) // windows.chunk_size, last), counted)
            count += max(counted + 1 - first, 0)
    return count + len(shared)


def part_in_place(sample: str, batch: str, places: Places) -> Any:
    """What a batch leaves in a sample's dataset while it is converted, as `bams3 convert --batch` names it."""
    return places.result_in_place(f"<results>/datasets/{sample}.bams3/_parts/{batch}.json")


def batch_words(batch: str) -> str:
    """`i/n`, as the command line takes a batch."""
    number, count = batch.split("-of-")
    return f"{int(number)}/{int(count)}"


def remove_others(folder: str, batch: str) -> None:
    """Delete what batches of another number have left in a sample's folder, a folder each: who reads all of them would
    have reads twice, and of alignments that have been replaced.
    """
    _, of, count = batch.rpartition("-of-")
    place = open_storage(folder)
    place.delete_all(
        path
        for path in place.list()
        if re.match(r"\d{6}-of-\d{6}/", path) and path[6 : len(batch)] != of + count
    )
