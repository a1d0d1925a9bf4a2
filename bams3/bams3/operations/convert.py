"""Convert alignments (BAM, CRAM, SAM; a file or standard input) to a dataset.

Worker threads inflate the source, find and check its records, and encode and compress row groups. The main thread only
keeps things in order: it cuts the records into row groups, and hands compressed row groups to the threads that write
chunks. At most a few row groups per worker are in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any, BinaryIO, NamedTuple

from bams3.bam.lossy import Loss
from bams3.bam.records import join
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import Identity
from bams3.chunk.header import HeaderLines
from bams3.chunk.writer import CompressedRowGroup, compress_joined, compress_row_group, write_chunk
from bams3.codec.streams import DEFAULT_LEVEL
from bams3.dataset import layout, parts
from bams3.dataset.destination import Destination, remove, survey
from bams3.dataset.layout import UNPLACED
from bams3.dataset.manifest import Counts, Manifest
from bams3.dataset.own import Own
from bams3.dataset.plan import Plan, agreed
from bams3.dataset.sums import Sums
from bams3.duplicates.options import Markdup
from bams3.errors import DatasetError, FormatError, SourceError
from bams3.operations.begin import begin, check_options, check_options_of_reads
from bams3.operations.earlier import Earlier
from bams3.operations.reread import reread
from bams3.operations.row_groups import ChunkKey, Task, cut_row_groups, tasks_of
from bams3.operations.windows import blocks_of, chosen_windows, part_name, size_to_read
from bams3.parallel.uploads import Uploads
from bams3.parallel.workers import Workers, memory_to_wait, together, worker_count
from bams3.sources.inputs import IndexCounts, LateDisorderError, Source
from bams3.sources.lossy import with_loss
from bams3.sources.messages import show
from bams3.sources.meter import Meter
from bams3.storage import Storage, is_remote, open_storage, uri_of

# Chunks of one row group, with at most this many bytes of streams, are written several at a time.
SMALL_CHUNK = 1 << 16
_SIZE = attrgetter("size")
MANY_CONTIGS = 20_000
"""Number of contigs from which `convert` warns that each contig with reads becomes a folder with a file."""


def convert(
    source: Any, dataset: Any, *, chunk_size: int | str = layout.DEFAULT_CHUNK_SIZE, workers: int | str = "auto",
    level: int = DEFAULT_LEVEL, sort: bool = False, fixmate: bool = False, overwrite: bool = False,
    resume: bool = False, reference: str | None = None, index: str | None = None,
    batch: tuple[int, int] | None = None, windows: Sequence[str] = (), allow_truncated: bool = False,
    progress: Callable[[int], None] | None = None, expect: Callable[[int], None] | None = None,
    verify: bool = False, qualities: str | None = None, drop_tags: Sequence[str] = (), hash_paths: bool = False,
    memory: int | str | None = None, tmp_dir: str | None = None, markdup: Markdup | None = None,
) -> Manifest | None:  # fmt: skip
    """Convert alignments to a dataset, or to a part of one.

    If an error occurs, no incomplete dataset can be opened.

    Parameters
    ----------
    source
        BAM, CRAM or SAM, sorted by coordinate unless `sort`: a path or URI, or `-` for standard input.
    dataset
        Path or URI of the dataset to write.
    chunk_size
        Length of a window in bp: an integer, or a string such as "1M".
    workers
        Number of threads, or "auto" for all available cores.
    level
        Compression level, 1 (fast) to 9 (small).
    sort
        Sort the input by coordinate, as `samtools sort` does. The records themselves do not change.
    fixmate
        With `sort`, fill in the mate fields and the tags MC, MQ and ms of each read, as `samtools fixmate -m` does.
            The reads of one template (with the same name) must be adjacent in the input.
    overwrite
        Replace an existing dataset. On a file system, it is replaced once the new one is complete; in an object
            store, it is removed first. With `batch` or `windows`, the dataset becomes incomplete and the part is
            written again; the other parts of the same batches are kept, and may be written at the same time.
    resume
        Reuse the row groups that an interrupted run left, after comparing them with the source. With `batch` or
        `windows`, this is always done.
    reference
        FASTA file of a CRAM source.
    index
        BAI, CSI or CRAI of the source (path or URI), if it is not next to the source.
    batch
        (i, n): convert only the i-th of n runs of windows. According to the source's index, the runs are of about
            equal size in bytes. This writes a part; `merge` completes the dataset.
    windows
        Convert only these regions, using the source's index. They must begin and end at chunk boundaries;
            `_unplaced` stands for the reads without a position. This writes a part; `merge` completes the dataset.
    allow_truncated
        Accept a source that lacks the end-of-file marker. The manifest then states that the source was truncated.
    progress
        Called whenever bytes of the source are read, with their number.
    expect
        Called once with the number of bytes that will be read, if it is known.
    verify
        Before the dataset is committed, read it again and compare its records with those of the source.
    qualities
        "bin8" or "illumina4": replace each quality by the value of its bin. "crumble-like": replace the qualities of
            bases that agree with a clear consensus of the reads by 40. The manifest and an @PG line record the choice.
    drop_tags
        Names of tags to remove from all records. The manifest and an @PG line record them, too.
    hash_paths
        Give chunks paths that reveal neither contigs nor positions.
    memory
        With `sort`, the memory in bytes for records that wait to be sorted: an integer, or a string such as "4G". By
            default, a quarter of what this process may use, or what its workers leave. Further records wait in
            temporary files.
    tmp_dir
        With `sort`, or with `markdup.supplementary`, the folder of temporary files; by default that of Python's
        `tempfile`, such as TMPDIR.
    markdup
        Mark duplicates as `samtools markdup` does, with these options.

    Returns
    -------
    Manifest or None
        The manifest of the dataset; None for a part.

    Raises
    ------
    SourceError
        If the source is damaged, unsorted, or can't be represented.
    DatasetError
        If the dataset exists, unless `overwrite` or `resume` allows it.
    UsageError
        If options are invalid or contradict each other.
    """
    from bams3.sources.bam import open_source

    check_options_of_reads(sort, fixmate, memory, tmp_dir, markdup, in_parts=bool(batch or windows))
    check_options(source, batch, windows, level)
    if markdup:
        from bams3.operations.marking import check_statistics

        check_statistics(markdup.statistics, uri_of(dataset), uri_of(source), index, reference)
    loss = Loss.of(qualities, drop_tags)
    size, threads = layout.parse_size(chunk_size), worker_count(workers)
    waiting = memory_to_wait(memory, threads)
    storage = open_storage(uri_of(dataset))
    with ExitStack() as stack:
        meter = Meter(progress) if progress else None
        opened = stack.enter_context(open_source(
            uri_of(source), index=index, reference=reference, allow_truncated=allow_truncated, progress=meter,
        ))  # fmt: skip
        if fixmate:
            from bams3.sources.fixmate import FixmateSource

            opened = FixmateSource(opened)
        if sort:
            from bams3.sources.sorting import SortedSource

            opened = SortedSource(opened, waiting, tmp_dir)
        opened = _changed(opened, markdup, loss, tmp_dir)
        plan = agreed(storage, Plan.of(opened.header, size, level, loss, hash_paths=hash_paths))
        _warn(opened, plan, loss)
        chosen = chosen_windows(plan, opened, batch, windows)
        name = part_name(plan, batch, chosen)
        if meter and expect and (total := size_to_read(uri_of(source), opened, plan, chosen)):
            meter.total = total
            expect(total)
        storage, there, plan = stack.enter_context(
            begin(storage, plan, opened.header.text, name, overwrite=overwrite, resume=resume)
        )
        name = part_name(plan, batch, chosen)
        pool = stack.enter_context(Workers(threads))
        earlier = Earlier(storage, plan, there.objects) if resume or name is not None else None
        job = Conversion(Uploads(storage), plan, HeaderLines(opened.header), pool, earlier, there)
        with faults_named(opened.path, storage, removes=name is None and not resume):
            if chosen is None:
                counts = _known_counts(opened, index)
                part = job.run_whole(opened)
                part.windows, part.source_counts = list(plan.grid.runs()), {} if opened.truncated else counts
            else:
                part = job.run(blocks_of(opened, plan, chosen, pool.map))
                part.windows, part.source_counts = chosen, _by_reference(opened.counts())
            part.truncated = opened.truncated
            if verify:
                reread(storage, plan, part, pool)
            return parts.finish(storage, plan, part, name)


def _warn(source: Source, plan: Plan, loss: Loss | None) -> None:
    """Print warnings about results of a conversion that a user may not expect."""
    folders = len(plan.references) - (len(plan.joined.shared) if plan.joined else 0)
    if folders >= MANY_CONTIGS and not plan.path_key:
        show(source.path, f"{folders} long contigs; each of them that has reads becomes a folder with a file")
    if loss:
        show(source.path, f"{loss}: the records of the dataset differ from those of the input")


def _changed(source: Source, markdup: Markdup | None, loss: Loss | None, tmp_dir: str | None) -> Source:
    """Return the source with its duplicates marked, and then with the loss applied.

    The loss comes last, because duplicates are found by tags and qualities.
    """
    if markdup:
        from bams3.operations.marking import marked

        source = marked(source, markdup, tmp_dir)
    return with_loss(source, loss)


@contextmanager
def faults_named(source: str, storage: Storage, *, removes: bool) -> Iterator[None]:
    """Context manager: name the dataset or the source in the errors of a conversion.

    `source`: its name; empty if its errors already name it. `removes`: whether to remove what was written if the
    source is at fault, because the conversion can't be resumed and its files would block another attempt.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError(
            f"{storage.root}: {error.filename} was removed while the dataset was written"
        ) from error
    except (SourceError, FormatError) as error:
        if removes:
            remove(survey(storage))
        if isinstance(error, FormatError) or source in str(error):
            raise
        raise SourceError(f"{source}: {error}") from error


def _known_counts(source: Source, index: str | None) -> dict[int, int]:
    """Return the record counts from the index of a source that is read as a whole.

    The result is empty if the index is outdated or damaged, or if it is remote and was not given explicitly.
    """
    if is_remote(source.path) and index is None:
        return {}
    try:
        counts = source.counts()
    except SourceError as error:
        show(str(error), "the number of records is not checked against the index")
        return {}
    return {} if counts and counts.outdated else _by_reference(counts)


def _by_reference(counts: IndexCounts | None) -> dict[int, int]:
    if counts is None:
        return {}
    totals = {
        reference_id: mapped + unmapped for reference_id, (mapped, unmapped) in enumerate(counts.references)
    }
    return totals if counts.unplaced is None else totals | {UNPLACED: counts.unplaced}


class Result(NamedTuple):
    """A compressed row group of a chunk, and the counts and sums of its records."""

    key: ChunkKey
    group: CompressedRowGroup
    counts: Counts
    sums: Sums


@dataclass
class Conversion:
    """One conversion: it takes blocks of records and writes chunks."""

    uploads: Uploads
    plan: Plan
    header: HeaderLines
    workers: Workers
    earlier: Earlier | None
    there: Destination
    """What the destination held before."""

    def run_whole(self, source: Source) -> parts.Part:
        """Write the chunks of all records of a source.

        If a record turns out to be out of order after others were written in input order, begin again: this time the
        source sorts its records, and everything that was written is replaced.
        """
        with suppress(LateDisorderError):
            return self.run(source.blocks(self.workers.map))
        return replace(self, uploads=Uploads(self.uploads.storage)).run(source.blocks(self.workers.map))

    def run(self, blocks: Iterable[Any]) -> parts.Part:
        """Write the chunks of all records in `blocks`, and return the part. The caller sets its windows."""
        return self.encode(self.cut(blocks))

    def cut(self, blocks: Iterable[Any]) -> Iterator[Task]:
        """Cut records into row groups."""
        shared = self.plan.joined.shared if self.plan.joined else None
        return tasks_of(cut_row_groups(blocks, self.plan.chunk_size, self.plan.lengths, shared))

    def encode(self, tasks: Iterable[Task]) -> parts.Part:
        """Write the chunks of all row groups, and return the part. The caller sets its windows."""
        sums = Sums.zero()
        part = parts.Part([], sums=sums)
        finished = self._counted(self.workers.map(self._compress, together(tasks, _SIZE)), part.counts, sums)
        part.chunks = self.write(finished)
        return part

    def write(self, row_groups: Iterable[tuple[ChunkKey, CompressedRowGroup]]) -> list[ChunkEntry]:
        """Write the chunks that consist of these row groups."""
        with self.uploads:
            chunks = [
                self._write(key[0], key[1], (group for _, group in items))
                for key, items in groupby(row_groups, key=lambda item: item[0])
            ]
        return [entry() for entry in chunks]

    @cached_property
    def _own(self) -> Own:
        return Own([self.plan, *self.there.plans])

    def _counted(
        self, runs: Iterable[list["Result"]], counts: Counts, sums: Sums
    ) -> Iterator[tuple[ChunkKey, CompressedRowGroup]]:
        for key, group, counted, summed in chain.from_iterable(runs):
            counts.add(counted)
            sums.add(summed)
            yield key, group

    def _compress(self, tasks: list[Task]) -> list["Result"]:
        return [self.compressed(task) for task in tasks]

    def compressed(self, task: Task) -> "Result":
        """Return the row group of a task. Records that are copied in their stored form are not counted."""
        if task.stored:
            return Result(task.key, task.stored.copied(), Counts.zero(), Sums.zero())
        block = join(task.blocks)
        task.blocks.clear()  # release the blocks that they are slices of
        return self.encoded(task, block)

    def encoded(self, task: Task, block: Any) -> "Result":
        """Return the row group that these records become."""
        reference_id = task.key[0]
        counts, sums = self.tallied(block, reference_id)
        group = self.earlier.row_group(block, task.key, task.number) if self.earlier else None
        if group is None:
            if self._is_joined(reference_id):
                group = compress_joined(block, self.plan.lengths, self.plan.level)
            else:
                group = compress_row_group(block, reference_id, self.plan.level)
        return Result(task.key, group, counts, sums)

    def tallied(self, block: Any, reference_id: int) -> tuple[Counts, Sums]:
        """Count and sum the records of a row group of a chunk with this reference id."""
        of = None if self._is_joined(reference_id) else reference_id
        return Counts.of_block(block, of), Sums.of_block(block)

    def _is_joined(self, reference_id: int) -> bool:
        return self.plan.joined is not None and reference_id in self.plan.joined.shared

    def _write(
        self, reference_id: int, start: int, groups: Iterator[CompressedRowGroup]
    ) -> Callable[[], ChunkEntry]:
        path = self.plan.chunk_path(reference_id, start)
        end = start + self.plan.chunk_size if reference_id != UNPLACED else start
        if path in self.there.objects:
            self._own.check_chunk(self.uploads.storage, path)
        identity = Identity(self.plan.header_id, reference_id, start, end, self.plan.level)

        def write(file: BinaryIO, items: Iterator[CompressedRowGroup]) -> ChunkEntry:
            return write_chunk(
                file, path, identity, items, self.header, is_joined=self._is_joined(reference_id)
            )

        first = list(islice(groups, 2))  # a chunk is small if it has no second row group
        if len(first) == 1 and first[0].zone.hot + first[0].zone.cold <= SMALL_CHUNK:
            return self.uploads.write_small(path, lambda file: write(file, iter(first)))
        return self.uploads.write(path, write, chain(first, groups))
