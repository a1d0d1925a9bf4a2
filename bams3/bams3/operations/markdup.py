"""Mark the duplicates of a dataset, and write the result to a new dataset.

Row groups are decoded. They are encoded again only if some of their records have changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bams3.chunk.header import HeaderLines
from bams3.dataset import layout, parts
from bams3.dataset.destination import survey
from bams3.dataset.manifest import HASHED_PATHS
from bams3.dataset.marked import summed
from bams3.dataset.opening import open_reader
from bams3.dataset.plan import Plan, header_of, read_plan
from bams3.duplicates.options import Markdup
from bams3.errors import DatasetError, UsageError
from bams3.operations.begin import begin, check_tmp_dir, removed_after_an_error, warn_of_partial_header
from bams3.operations.convert import Conversion, faults_named
from bams3.operations.earlier import Earlier
from bams3.operations.marked_batch import marked_part, marking_of
from bams3.operations.marking import blocks_of, check_statistics, marking, statistics_of
from bams3.operations.merge import merge_parts
from bams3.operations.places import refuse_in_place
from bams3.operations.reread import reread
from bams3.operations.windows import part_name
from bams3.output.files import open_output
from bams3.parallel.uploads import Uploads
from bams3.parallel.workers import Workers, worker_count
from bams3.sources.messages import show
from bams3.storage import open_storage, uri_of

if TYPE_CHECKING:
    from bams3.dataset.manifest import Manifest


def markdup(
    source: Any, dataset: Any, options: Markdup | None = None, *, workers: int | str = "auto",
    overwrite: bool = False, verify: bool = False, progress: Callable[[int], None] | None = None,
    tmp_dir: str | None = None, batch: tuple[int, int] | None = None,
) -> Manifest | None:  # fmt: skip
    """Mark the duplicates of a dataset as `samtools markdup` does; the marked records become a new dataset.

    The windows, the level and the header are those of the source. If an error occurs, no incomplete dataset can be
    opened.

    Parameters
    ----------
    source
        Path or URI of a dataset.
    dataset
        Path or URI of the dataset to write.
    options
        What is compared and marked; by default, as `samtools markdup` does without options.
    workers
        Number of threads, or "auto" for all available cores.
    overwrite
        Replace what is at `dataset`, if that is a dataset or the beginning of one.
    verify
        Read the new dataset again before it is committed, and compare its records with the marked ones.
    progress
        Called after each row group is read, with its number of records.
    tmp_dir
        With `options.supplementary`, the folder for a temporary file; by default, that of Python's `tempfile`.
    batch
        (i, n): mark only the i-th of n runs of windows, which are of about equal size in bytes. The marks are the same
            as if all reads were marked at once. This writes a part; `merge` completes the dataset. The options must be
            the same for all batches.

    Returns
    -------
    Manifest or None
        The manifest of the new dataset; None for a part.

    Raises
    ------
    FormatError
        If the source is damaged.
    SourceError
        If its records lack tags that `samtools fixmate -m` writes.
    DatasetError
        If the destination of the new dataset is not empty, unless `overwrite` allows it.
    UsageError
        If options are invalid or contradict each other.
    """
    options = options or Markdup()
    options.check()
    if batch:
        _check_batch(options)
    check_tmp_dir(tmp_dir, "--mark-supplementary", used=options.supplementary)
    refuse_in_place([uri_of(source)], uri_of(dataset))
    check_statistics(options.statistics, uri_of(dataset), uri_of(source))
    threads = worker_count(workers)
    reader = open_reader([uri_of(source)], prefetch=(layout.INDEX, layout.HEADER))
    if not reader.is_whole:
        raise UsageError(
            f"{source}: only a part of a dataset, and a read may be a duplicate of one elsewhere; "
            "give the whole dataset"
        )
    told, header = reader.manifest, reader.header
    marks = marking(reader.uri, header, options, tmp_dir)
    plan = Plan.of(header, told.chunk_size, told.level, told.lossy, hash_paths=told.version == HASHED_PATHS)
    if batch:
        plan = replace(plan, marking=marking_of(reader, options))
    name = part_name(plan, batch, None)
    storage = open_storage(uri_of(dataset))
    warn_of_partial_header(reader)
    with begin(storage, plan, header.text, name, overwrite=overwrite, resume=False) as (storage, there, plan):
        with ExitStack() as stack:
            stack.enter_context(nullcontext() if name else removed_after_an_error(storage))
            stack.enter_context(faults_named(reader.uri, storage, removes=False))
            pool = stack.enter_context(Workers(threads))
            stored = Earlier.of(reader, plan)
            job = Conversion(Uploads(storage), plan, HeaderLines(header), pool, stored, there)
            if batch:
                part = marked_part(job, marks, reader, options, *batch, progress)
            else:
                blocks = blocks_of(reader, reader.all_row_groups(), pool.map, progress)
                part = job.run(marks.marked(blocks, pool.map))
                part.windows = list(plan.grid.runs())
            part.truncated = told.truncated
            if verify:
                reread(storage, plan, part, pool)
        return parts.finish(storage, plan, part, name)


def _check_batch(options: Markdup) -> None:
    """Raise UsageError for options that need all reads at once."""
    if options.supplementary:
        raise UsageError(
            "--mark-supplementary cannot be combined with --batch: other alignments of a duplicate may be anywhere; "
            "leave one of them out"
        )
    if options.statistics:
        raise UsageError(
            "-f, -s and --json cannot be combined with --batch; get the statistics of all batches with bams3 merge "
            "--markdup-stats FILE"
        )


def merge_marked(dataset: Any, statistics: str, command: str = "bams3 merge") -> Manifest:
    """Complete a dataset whose batches are all marked, as `merge` does, and write the duplicate statistics to a file.

    The file is written before the dataset is completed, because the numbers are in the parts of the batches. So if a
    merge was killed after the dataset was complete, the file exists, and only the remaining parts are removed.

    Parameters
    ----------
    dataset
        Path or URI of the dataset.
    statistics
        File for the statistics, in JSON if its name ends in .json.
    command
        The command line that the statistics state.

    Raises
    ------
    DatasetError
        If batches are missing, if their numbers do not fit the header, or if the dataset is complete but the file
        does not exist.
    UsageError
        If the dataset was not begun by `bams3 markdup --batch`.
    """
    check_statistics(statistics, uri_of(dataset))
    destination = survey(open_storage(uri_of(dataset)))
    storage = destination.storage
    if destination.complete:
        if not os.path.exists(statistics):
            raise DatasetError(
                f"{dataset}: it is complete, so its batches, which had the numbers of duplicates, have been removed; "
                "run bams3 markdup --markdup-stats without --batch"
            )
        show(str(dataset), f"already complete; {statistics} is unchanged")
        return merge_parts(destination)
    plan = read_plan(storage)
    if not plan.marking:
        raise UsageError(f"{dataset}: not begun by bams3 markdup --batch; leave --markdup-stats out")
    read = parts.read_parts(storage, plan)
    numbers = summed(part.marked for part in read if part.marked)
    asked = Markdup(
        read_groups=len(numbers) > 1,
        statistics=statistics,
        json=statistics.endswith(".json"),
        command=command,
    )
    groups = asked.groups(header_of(storage, plan))
    if asked.read_groups and len(numbers) != len(groups) + 1:
        raise DatasetError(
            f"{dataset}: the numbers of its parts do not fit the read groups of its header; mark all batches again"
        )
    names = [name.decode("utf-8", "surrogateescape") for name in groups]

    def write() -> None:
        with open_output(statistics) as file:
            file.write(statistics_of(asked, names, numbers))

    return merge_parts(destination, (plan, read), write)
