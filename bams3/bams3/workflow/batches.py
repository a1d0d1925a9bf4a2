"""The batches in which a sample is processed: `000001-of-000004`, …"""

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
    """Return the batches of a sample.

    They depend only on the arguments, so they do not change when other samples are added, and each job only has to look
    at its own sample. `settings`: the section `convert` of the configuration. `windows`: all windows of a dataset.
    """
    wanted = settings["chunks_per_batch"]
    if wanted == "auto":
        count = -(-bytes_of(row, places) // (settings["gigabytes_per_batch"] * 1e9))
    else:
        count = -(-_count_held(row, windows, places) // wanted)
    return _names(min(count, len(windows)))


def query_batches_of(batches: list[str], settings: Mapping[str, Any], touched: int) -> list[str]:
    """Return the batches of a query of a sample with these batches.

    `touched`: number of windows that the regions overlap.
    """
    wanted = settings["chunks_per_batch"]
    return _names(min(len(batches), touched if wanted == "auto" else -(-touched // wanted)))


def _names(count: float) -> list[str]:
    """Return the names of this number of batches, but at least one."""
    count = max(int(count), 1)
    return [f"{i + 1:06d}-of-{count:06d}" for i in range(count)]


def _count_held(row: Row, windows: Grid, places: Places) -> int:
    """Return how many windows have reads, according to the given dataset or the index of a local BAM; otherwise all.

    In a module, too, it is the number of all windows, because a rule that Snakemake has not read yet may make the BAM,
    its index or the dataset.
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
    """Return how many windows the regions of a query overlap; all of them if this is not known before jobs run.

    `settings`: the section `query` of the configuration.
    """
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
    """Return the part file that `bams3 convert --batch` writes for a batch to a sample's dataset."""
    return places.result_in_place(f"<results>/datasets/{sample}.bams3/_parts/{batch}.json")


def batch_words(batch: str) -> str:
    """Return a batch as `i/n`, for the command line."""
    number, count = batch.split("-of-")
    return f"{int(number)}/{int(count)}"


def remove_others(folder: str, batch: str) -> None:
    """Delete the folders in a sample's folder that batches of another number left.

    Otherwise, a program that reads all folders would find reads twice, or reads of alignments that have been replaced.
    """
    _, of, count = batch.rpartition("-of-")
    place = open_storage(folder)
    place.delete_all(
        path
        for path in place.list()
        if re.match(r"\d{6}-of-\d{6}/", path) and path[6 : len(batch)] != of + count
    )
