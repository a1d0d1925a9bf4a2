"""Append the reads of other inputs to a dataset. Chunks that get no new reads stay as they are."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from bams3.bam.merged_header import MergedHeader
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.header import HeaderLines
from bams3.codec import ENCODINGS
from bams3.dataset.destination import Destination, alone, restore
from bams3.dataset.generations import new_generation, split_path
from bams3.dataset.growth import growth
from bams3.dataset.hashes import hash_of
from bams3.dataset.manifest import HASHED_PATHS, IN_GENERATIONS, Manifest
from bams3.dataset.parts import Part, commit
from bams3.dataset.plan import Plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, FormatError, UsageError
from bams3.operations.begin import begin
from bams3.operations.convert import faults_named
from bams3.operations.earlier import Earlier
from bams3.operations.merge import MANY_INPUTS, allow_inputs, loss_of, open_input, take
from bams3.operations.merged_part import Merging, completed, is_truncated, written
from bams3.operations.merging import MergedRecords
from bams3.operations.places import lies_in
from bams3.parallel.uploads import Uploads
from bams3.parallel.workers import Workers, worker_count
from bams3.sources.messages import show
from bams3.storage import Storage, is_remote, open_storage, uri_of
from bams3.storage.local import LocalStorage


def append(
    dataset: Any, inputs: Sequence[Any], *, workers: int | str = "auto", reference: str | None = None,
    combine_read_groups: bool = False, combine_programs: bool = False, seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Manifest:  # fmt: skip
    """Append reads to a dataset, as if the dataset, as the first input, had been merged with the other inputs.

    Chunks of windows in which no input has reads are not written again: the new dataset uses the same files or
    objects. The new dataset replaces the old one once it is complete. Until then, readers see the old one, and it
    stays in place if an error occurs. In an object store, new chunks get new names, so the format version is 6.
    If the inputs have no records, the dataset stays as it is, including its header.

    Parameters
    ----------
    dataset
        Path or URI of the dataset. No byte of the reads that it already has is changed.
    inputs, reference, combine_read_groups, combine_programs, seed, progress
        As for `merge_inputs`.
    workers
        Number of threads, or "auto" for all available cores.

    Returns
    -------
    Manifest
        The manifest of the dataset after the reads were appended.

    Raises
    ------
    SourceError
        If an input is damaged, or not sorted in the order of the dataset's contigs.
    DatasetError
        If there is no dataset; if the dataset can't be appended to (the message says which command to use instead);
            or if another process is appending to it.
    UsageError
        If the dataset is one of the inputs.
    """
    name, names, threads = uri_of(dataset), [uri_of(each) for each in inputs], worker_count(workers)
    if any(lies_in(each, name) for each in names):
        raise UsageError(f"{name}: this is both the dataset and an input; give other inputs")
    merging = MergedHeader(
        combine_read_groups=combine_read_groups, combine_programs=combine_programs, seed=seed
    )
    allow_inputs(names)
    with ExitStack() as stack:
        if not is_remote(name):
            root = open_storage(name).root
            restore(root)
            if os.path.isdir(root):
                stack.enter_context(alone(root))
        grown = DatasetReader(name)
        opened = [stack.enter_context(open_input(each, reference, progress)) for each in names]
        taken = [take(merging, grown, name)._replace(changes=False)]
        taken += (take(merging, each, given) for each, given in zip(opened, names, strict=True))
        header, loss = merging.header, loss_of([grown, *opened])
        told = grown.manifest
        hash_paths = told.version == HASHED_PATHS
        plan = Plan.of(header, told.chunk_size, told.level, loss, hash_paths=hash_paths)
        _check_grows(grown, plan)
        plan = _keeping_chunks(plan, told)
        pool = stack.enter_context(Workers(threads))
        records = MergedRecords(taken, plan, pool.map if len(taken) <= MANY_INPUTS else map)
        if not records.has_others:
            show(grown.uri, "nothing to append: the inputs have no reads; the dataset is unchanged")
            return grown.manifest
        place = stack.enter_context((_in_store if grown.remote else _on_disk)(grown, plan, header.text))
        stored = Earlier.of(grown, plan)
        job = Merging(Uploads(place.storage), place.plan, HeaderLines(header), pool, stored, place.there)
        stack.enter_context(faults_named("", place.storage, removes=False))
        part = completed(written(job, records), plan, records)
        part.chunks += place.kept([_hashed(entry, grown.storage) for entry in records.staying])
        part.truncated = any(map(is_truncated, [grown, *opened]))
        return place.commit([part])


class _Place(NamedTuple):
    """Where the chunks with new reads are written, the plan for them, and what the destination held before.

    `kept`: keeps the chunks with these entries, and returns their entries in the new dataset. `commit`: replaces the
    old dataset with the new one.
    """

    storage: Storage
    plan: Plan
    there: Destination
    kept: Callable[[list[ChunkEntry]], list[ChunkEntry]]
    commit: Callable[[list[Part]], Manifest]


@contextmanager
def _on_disk(grown: DatasetReader, plan: Plan, header: bytes) -> Iterator[_Place]:
    """Context manager: write to a folder next to the dataset; the folder replaces the dataset at the end."""
    with begin(grown.storage, plan, header, None, overwrite=True, resume=False) as (new, there, plan):

        def linked(entries: list[ChunkEntry]) -> list[ChunkEntry]:
            assert isinstance(grown.storage, LocalStorage)
            assert isinstance(new, LocalStorage)
            here = [entry._replace(path=split_path(entry.path)[0]) for entry in entries]
            paths = ((old.path, entry.path) for old, entry in zip(entries, here, strict=True))
            try:
                new.link_from(grown.storage, paths)
            except FileNotFoundError as error:
                raise FormatError(
                    f"{error.filename}: the chunk is missing; restore it or convert its window again"
                ) from None
            return here

        yield _Place(new, plan, there, linked, partial(commit, new, plan))


@contextmanager
def _in_store(grown: DatasetReader, plan: Plan, header: bytes) -> Iterator[_Place]:
    """Context manager: write a new generation of the dataset."""
    version = HASHED_PATHS if plan.version == HASHED_PATHS else IN_GENERATIONS
    plan = replace(plan, version=version, generation=new_generation())
    with growth(grown, plan, header) as grows:
        yield _Place(grows.storage, plan, grows.there, list, grows.commit)


def _keeping_chunks(plan: Plan, manifest: Manifest) -> Plan:
    """Return the plan for a dataset that keeps chunks of the dataset with this manifest."""
    known = dict.fromkeys([*manifest.earlier_header_ids, manifest.header_id])
    known.pop(plan.header_id, None)
    return replace(plan, earlier_header_ids=tuple(known))


def _hashed(entry: ChunkEntry, storage: Storage) -> ChunkEntry:
    """Return the entry with the SHA-256 of its chunk, which is missing from indexes of earlier versions."""
    return entry if entry.sha256 else entry._replace(sha256=hash_of(storage, entry.path, entry.size))


def _check_grows(dataset: DatasetReader, plan: Plan) -> None:
    """Raise DatasetError unless chunks of a dataset can stay as they are in one of this plan."""
    manifest = dataset.manifest
    if manifest.version == 1 or manifest.encodings != ENCODINGS:
        why = "an earlier version of bams3 wrote it"
    elif manifest.partial_header:
        why = "its header was rebuilt from chunks and is incomplete"
    elif manifest.joined or plan.joined:
        why = "it has so many contigs that some share chunks"
    else:
        return
    raise DatasetError(
        f"{dataset.uri}: can't be appended to, because {why}; use bams3 merge, which writes a new dataset"
    )
