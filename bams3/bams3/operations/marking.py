"""What commands that mark duplicates share: reading of row groups, statistics, and warnings about unreadable names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from bams3.bam.records import RecordBlock, check_order
from bams3.dataset.prefetch import plan_all
from bams3.duplicates.source import MarkedSource, Marking
from bams3.duplicates.statistics import as_json, as_text
from bams3.errors import FormatError, SourceError, UsageError
from bams3.operations.places import same_place
from bams3.output.files import open_output, refuse_inputs, refuse_place
from bams3.parallel.workers import watched
from bams3.sources.messages import show
from bams3.storage import is_remote

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.chunk.row_group import RowGroup
    from bams3.dataset.reader import DatasetReader
    from bams3.duplicates.options import Markdup
    from bams3.duplicates.source import Finished
    from bams3.sources.inputs import Mapper, Source


def marked(source: Source, options: Markdup, folder: str | None = None) -> Source:
    """Return a source whose duplicates are marked. Statistics are written once all of it has been read.

    `folder`: folder for temporary files.
    """
    return MarkedSource(source, options, _finished(source.path, options), folder)


def marking(path: str, header: Header, options: Markdup, folder: str | None = None) -> Marking:
    """Return the marking of duplicates for blocks of records. `path`: the name of their source, for messages."""
    return Marking(header, options, _finished(path, options), path=path, folder=folder)


def check_statistics(path: str, dataset: str, *inputs: str | None) -> None:
    """Raise UsageError or OSError if the statistics can't be written to a file: before the work, not at its end.

    `dataset`: the path or URI of the dataset to write; `inputs`: those of the inputs.
    """
    if path in ("", "-"):
        return
    refuse_inputs(path, *inputs)
    refuse_place(path)
    if same_place(path, dataset):
        raise UsageError(f"{path}: this is the dataset to write; choose another name for the statistics")
    folder = os.path.dirname(path.removeprefix("file://"))
    if not is_remote(path) and not os.path.isdir(folder or "."):
        raise UsageError(f"{path}: the directory {folder} does not exist; create it first")


def blocks_of(
    reader: DatasetReader, row_groups: Iterable[RowGroup], mapper: Mapper,
    progress: Callable[[int], None] | None = None,
) -> Iterator[RecordBlock]:  # fmt: skip
    """Yield the records of row groups, in order. Raises FormatError if they are damaged or not sorted."""
    place = 0, -1
    references = reader.references
    jobs = reader.fetched(zip(row_groups), plan_all)
    groups = watched(jobs, lambda job: job[0].records, progress)
    try:
        for block in mapper(lambda job: job[0].valid_block(len(references)), groups):
            place = check_order(block, *place, references=references)
            yield block
    except SourceError as error:
        raise FormatError(f"{reader.uri}: invalid records: {error}") from error


def statistics_of(options: Markdup, groups: Sequence[str], numbers: Sequence[Sequence[int]]) -> bytes:
    """Return the contents of the statistics file in the format that `options` ask for."""
    write = as_json if options.json else as_text
    return write(options.command, groups, numbers).encode("utf-8", "surrogateescape")


def _finished(path: str, options: Markdup) -> Finished:
    def finished(groups: Sequence[str], numbers: Sequence[Sequence[int]], barcodes: int, spots: int) -> None:
        if options.statistics:
            with open_output(options.statistics) as file:
                file.write(statistics_of(options, groups, numbers))
        if barcodes:
            show(path, f"{barcodes} reads have a name or a tag from which no barcode can be read")
        if spots:
            show(
                path,
                f"{spots} times, a name had no coordinates; its read was not marked as an optical duplicate",
            )

    return finished
