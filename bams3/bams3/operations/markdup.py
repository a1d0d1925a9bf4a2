"""Mark the duplicates of a dataset, in a new one.

Row groups are decoded, and encoded again unless none of their records has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from bams3.bam.records import RecordBlock, check_order
from bams3.chunk.header import HeaderLines
from bams3.dataset import layout, parts
from bams3.dataset.opening import open_reader
from bams3.dataset.plan import Plan
from bams3.dataset.prefetch import plan_all
from bams3.dataset.reader import DatasetReader
from bams3.duplicates.options import Markdup
from bams3.errors import FormatError, SourceError, UsageError
from bams3.operations.begin import begin, check_tmp_dir, removed_after_an_error, warn_of_partial_header
from bams3.operations.convert import Conversion
from bams3.operations.earlier import Earlier
from bams3.operations.marking import marking
from bams3.operations.places import refuse_in_place
from bams3.operations.reread import reread
from bams3.parallel.uploads import Uploads
from bams3.parallel.workers import Workers, watched, worker_count
from bams3.storage import open_storage

if TYPE_CHECKING:
    from bams3.dataset.manifest import Manifest


def markdup(
    source: Any, dataset: Any, options: Markdup | None = None, *, workers: int | str = "auto",
    overwrite: bool = False, verify: bool = False, progress: Callable[[int], None] | None = None,
    tmp_dir: str | None = None,
) -> Manifest:  # fmt: skip
    """Mark the duplicates of a dataset as `samtools markdup` does; the marked records become a new dataset.

    Windows, level and header are those of the source. After an error, nothing new opens as a dataset.

    Parameters
    ----------
    source
        Path or URI of a dataset.
    dataset
        Path or URI of the dataset to write.
    options
        What is compared and marked; by default as `samtools markdup` does without options.
    workers
        Number of threads, or "auto" for all available cores.
    overwrite
        Replace what is at `dataset`, if that is a dataset or the beginning of one.
    verify
        Read what was written again before it is committed.
    progress
        Called whenever a row group was read, with its number of records.
    tmp_dir
        With `options.supplementary`, the folder of a temporary file; by default that of Python's `tempfile`.

    Returns
    -------
    Manifest
        The manifest of the new dataset.

    Raises
    ------
    FormatError
        If the source is damaged.
    SourceError
        If its records lack tags that `samtools fixmate -m` writes.
    DatasetError
        If there is something where the new dataset is to be, unless `overwrite` allows it.
    UsageError
        If options are invalid or contradict each other.
    """
    options = options or Markdup()
    options.check()
    check_tmp_dir(tmp_dir, "--mark-supplementary", used=options.supplementary)
    refuse_in_place([str(source)], str(dataset))
    threads = worker_count(workers)
    reader = open_reader([str(source)], prefetch=(layout.INDEX, layout.HEADER))
    if not reader.is_whole:
        raise UsageError(f"{source}: a part of a dataset; a read may be the duplicate of one elsewhere")
    told, header = reader.manifest, reader.header
    marks = marking(reader.uri, header, options, tmp_dir)
    plan = Plan.of(header, told.chunk_size, told.level, told.lossy)
    storage = open_storage(str(dataset))
    warn_of_partial_header(reader)
    with begin(storage, plan, header.text, None, overwrite=overwrite, resume=False) as (storage, there):
        with removed_after_an_error(storage), Workers(threads) as pool:
            stored = Earlier(reader.storage, plan, {entry.path: entry.size for entry in reader.objects})
            job = Conversion(Uploads(storage), plan, HeaderLines(header), pool, stored, there)
            part = job.run(marks.marked(_blocks(reader, pool, progress), pool.map))
            part.windows, part.truncated = list(plan.grid.runs()), told.truncated
            if verify:
                reread(storage, plan, part, pool)
        return parts.commit(storage, plan, [part])


def _blocks(
    reader: DatasetReader, pool: Workers, progress: Callable[[int], None] | None
) -> Iterator[RecordBlock]:
    """Yield the records of a dataset, in order."""
    place = 0, -1
    references = reader.references
    jobs = reader.fetched(zip(reader.all_row_groups()), plan_all)
    groups = watched(jobs, lambda job: job[0].records, progress)
    try:
        for block in pool.map(lambda job: job[0].valid_block(len(references)), groups):
            place = check_order(block, *place, references=references)
            yield block
    except SourceError as error:
        raise FormatError(f"{reader.uri}: invalid records: {error}") from error
