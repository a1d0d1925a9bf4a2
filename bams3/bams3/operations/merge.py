"""Merge datasets and BAM, CRAM and SAM files, of one sample or several, into a dataset; or merge the parts of one."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from bams3.bam.lossy import Loss
from bams3.bam.merged_header import MergedHeader
from bams3.chunk.header import HeaderLines
from bams3.codec.streams import DEFAULT_LEVEL
from bams3.dataset import layout, parts
from bams3.dataset.commit import tidying
from bams3.dataset.destination import Destination, check_joinable, survey
from bams3.dataset.manifest import HASHED_PATHS, Manifest
from bams3.dataset.opening import is_chunk, is_other_file, open_reader
from bams3.dataset.plan import Plan, read_plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, SourceError, UsageError
from bams3.operations.begin import begin, check_options
from bams3.operations.convert import faults_named
from bams3.operations.earlier import Earlier
from bams3.operations.merge_input import MergeInput
from bams3.operations.merged_batch import Shares, merged_part
from bams3.operations.merged_part import Merging, completed, is_truncated, written
from bams3.operations.merging import MergedRecords
from bams3.operations.places import refuse_in_place, same_place
from bams3.operations.windows import part_name
from bams3.parallel.limits import allow_files
from bams3.parallel.uploads import Uploads
from bams3.parallel.workers import Workers, worker_count
from bams3.sources.files import WINDOWS, expect_again
from bams3.sources.inputs import Source
from bams3.sources.messages import show
from bams3.storage import is_remote, open_storage, uri_of
from bams3.storage.memory import is_stream

MANY_INPUTS = 16
"""With more inputs than this, threads do not read ahead, because each block that waits takes memory."""


OTHER_FILES = 64
"""Number of files that may be open besides those of the inputs."""


def merge_inputs(
    inputs: Sequence[Any], dataset: Any, *, chunk_size: int | str = layout.DEFAULT_CHUNK_SIZE,
    workers: int | str = "auto", level: int = DEFAULT_LEVEL, overwrite: bool = False, resume: bool = False,
    reference: str | None = None, combine_read_groups: bool = False, combine_programs: bool = False,
    read_group_of_file: bool = False, seed: int = 0, hash_paths: bool = False,
    batch: tuple[int, int] | None = None, progress: Callable[[int], None] | None = None,
) -> Manifest | None:  # fmt: skip
    """Merge inputs into a dataset.

    The dataset has the records of the BAM that `samtools merge` would write, except that tags keep their order. A chunk
    of a dataset is copied if no other input has records in its window and its own records do not change.

    Parameters
    ----------
    inputs
        Paths or URIs of datasets, chunks, and BAM, CRAM and SAM files, sorted by coordinate; or `-` for standard input.
            Records at the same position and strand come in the order of the inputs.
    dataset
        Path or URI of the dataset to write.
    chunk_size, workers, level, overwrite, resume
        As for `convert`.
    reference
        FASTA file of CRAM inputs.
    combine_read_groups, combine_programs
        Keep only one of several @RG or @PG lines that have the same ID. Otherwise, the later ones get new IDs.
    read_group_of_file
        Give all records of an input a read group that is named after its file, without .bam, .cram, .sam or .bams3.
    seed
        Seed for the random numbers in these new IDs.
    hash_paths
        As for `convert`. Paths are also hashed if an input is a dataset with hashed paths.
    batch
        (i, n): merge only the i-th of n runs of windows, for which the inputs have about equal numbers of bytes. This
            writes a part; `merge` completes the dataset. The inputs and options must be the same for all batches, and
            every file needs an index.
    progress
        Called whenever bytes of BAM, CRAM or SAM inputs are read, with their number.

    Returns
    -------
    Manifest or None
        The manifest of the dataset; None for a part.

    Raises
    ------
    SourceError
        If an input is damaged, or not sorted in the order of the contigs in the merged header. With `batch`, also if
            an input can't be read by window.
    DatasetError
        If the dataset exists, unless `overwrite` or `resume` allows it.
    UsageError
        If options are invalid, or the dataset is one of the inputs.
    """
    names = [uri_of(name) for name in inputs]
    check_options(None, None, (), level)
    size, threads = layout.parse_size(chunk_size), worker_count(workers)
    if any(same_place(name, uri_of(dataset)) for name in names):
        raise UsageError(f"{dataset}: both an input and the output; to add to a dataset, use bams3 append")
    merging = MergedHeader(
        combine_read_groups=combine_read_groups, combine_programs=combine_programs, seed=seed
    )
    for name in names if batch else ():
        expect_again(name, WINDOWS)
    allow_inputs(names)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_input(name, reference, progress)) for name in names]
        refuse_in_place(names, uri_of(dataset))
        taken = [
            take(merging, each, name, read_group(name) if read_group_of_file else None)
            for each, name in zip(opened, names, strict=True)
        ]
        header = merging.header
        hash_paths = hash_paths or any(map(_hashes_paths, opened))
        plan = Plan.of(header, size, level, loss_of(opened), hash_paths=hash_paths)
        if batch:
            options = combine_read_groups, combine_programs, read_group_of_file, seed
            shares = Shares(taken, plan, options)
            windows = shares.windows(*batch)
            plan = replace(plan, merging=shares.merging)
        part_of = part_name(plan, batch, None)
        storage, there, plan = stack.enter_context(
            begin(
                open_storage(uri_of(dataset)), plan, header.text, part_of, overwrite=overwrite, resume=resume
            )
        )
        pool = stack.enter_context(Workers(threads))
        earlier = Earlier(storage, plan, there.objects) if resume or part_of is not None else None
        job = Merging(Uploads(storage), plan, HeaderLines(header), pool, earlier, there)
        stack.enter_context(faults_named("", storage, removes=part_of is None and not resume))
        mapper = pool.map if len(taken) <= MANY_INPUTS else map
        if batch:
            part = merged_part(job, shares, windows, mapper, is_first=batch[0] == 1)
        else:
            records = MergedRecords(taken, plan, mapper)
            part = completed(written(job, records), plan, records)
        part.truncated = any(map(is_truncated, opened))
        return parts.finish(storage, plan, part, part_of)


def allow_inputs(names: Sequence[str]) -> None:
    """Allow that all inputs are open at once: a file for each BAM; four for each SAM or CRAM, which a child reads."""
    files = [name for name in names if not is_remote(name) and os.path.isfile(name.removeprefix("file://"))]
    number = sum(0 if name.endswith(".chunk") else 1 if name.endswith(".bam") else 4 for name in files)
    if number > OTHER_FILES:
        allow_files(number + OTHER_FILES)


def _hashes_paths(opened: Source | DatasetReader) -> bool:
    return isinstance(opened, DatasetReader) and opened.manifest.version == HASHED_PATHS


@contextmanager
def open_input(
    name: str, reference: str | None, progress: Callable[[int], None] | None
) -> Iterator[Source | DatasetReader]:
    """Context manager: open a dataset, a chunk, or a BAM, CRAM or SAM file. Raises Bams3Error."""
    reader = _reader(name)
    if reader is not None:
        yield reader
        return
    from bams3.sources.bam import open_source

    with open_source(name, reference=reference, allow_truncated=False, progress=progress) as source:
        yield source


def _reader(name: str) -> DatasetReader | None:
    """Open a dataset or a chunk; None if it is neither."""
    if is_remote(name):
        is_source = is_other_file(name)
    else:
        path = name.removeprefix("file://")
        is_source = is_stream(path) or not (os.path.isdir(path) or is_chunk(name))
    if is_source:
        return None
    try:
        return open_reader(name, prefetch=(layout.INDEX, layout.HEADER))
    except Bams3Error:
        from bams3.sources.legacy import is_legacy

        if not is_remote(name) and is_legacy(name):
            return None
        raise


def take(
    merging: MergedHeader, opened: Source | DatasetReader, name: str, read_group: bytes | None = None
) -> MergeInput:
    """Add the header of an input to the merged header, and return the input.

    `read_group`: read group for its records.
    """
    try:
        translation = merging.add(opened.header, read_group)
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from None
    if other := merging.other_length(opened.header, translation):
        contig, length, first = other
        show(
            name,
            f"contig {contig} has {length} bp, but {first} bp in an input before this one; check that all reads are "
            "aligned to the same reference",
        )
    return MergeInput(opened, name, translation)


def read_group(name: str) -> bytes:
    """Return the ID of the read group that is named after a file."""
    for ending in (".bam", ".sam", ".cram", ".bams3"):
        if name.endswith(ending) and len(name) > len(ending):
            name = name.removesuffix(ending)
            break
    return os.fsencode(name.rpartition("/")[2])


def loss_of(opened: Sequence[Source | DatasetReader]) -> Loss | None:
    """Return what conversions changed in the records of the inputs; None if nothing.

    Raises UsageError if they changed qualities in different ways or kept different tags, which a manifest can't state.
    """
    losses = [each.manifest.lossy for each in opened if isinstance(each, DatasetReader)]
    found = [loss for loss in losses if loss]
    bins = sorted({loss.qualities for loss in found if loss.qualities})
    if len(bins) > 1:
        raise UsageError(
            f"qualities are changed in different ways ({', '.join(bins)}); merge only datasets with the same loss"
        )
    kept = sorted({loss.kept_tags for loss in found if loss.kept_tags})
    if len(kept) > 1:
        raise UsageError(
            f"different tags were kept ({', or '.join(map(' '.join, kept))}); merge only datasets with the same tags"
        )
    return Loss.of(
        "".join(bins), [tag for loss in found for tag in loss.dropped_tags], kept[0] if kept else (),
        [name for loss in found for name in loss.dropped_read_groups],
    )  # fmt: skip


def merge(dataset: Any) -> Manifest:
    """Complete a dataset that was converted in parts; a complete dataset is left unchanged.

    Parameters
    ----------
    dataset
        Path or URI of the dataset.

    Returns
    -------
    Manifest
        The manifest of the dataset.

    Raises
    ------
    DatasetError
        If parts are missing or inconsistent; the message names them.
    """
    return merge_parts(survey(open_storage(uri_of(dataset))))


def merge_parts(
    destination: Destination,
    read: tuple[Plan, list[parts.Part]] | None = None,
    first: Callable[[], None] | None = None,
) -> Manifest:
    """Complete the dataset at a destination, as `merge` does.

    `read`: its plan and parts, if the caller has already read them. `first`: called before the manifest is written.
    """
    storage = destination.storage
    if destination.complete:
        with tidying(storage.root):
            parts.delete_parts(storage)
            storage.delete_incomplete(destination.own.has)
        return Manifest.from_bytes(storage.get(layout.METADATA), storage.root)
    plan = read[0] if read else read_plan(storage)
    check_joinable(destination)
    return parts.commit(storage, plan, read[1] if read else parts.read_parts(storage, plan), first)
