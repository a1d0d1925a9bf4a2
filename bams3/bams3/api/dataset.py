"""The Python interface: `bams3.open`, `Dataset`, `query_parallel` (`read_chunk`: bams3.api.chunk).

Positions are 0-based, ends exclusive; only region strings ("chr1:1-100") are 1-based and closed, as in
samtools. `fetch`, `count` and `header` behave as pysam's. A `Dataset` may be used by several threads at once.
What a caller can do wrong, or a damaged file, raises a subclass of `bams3.Bams3Error`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from operator import index
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from bams3.api.chunk import DEFAULT_FIELDS, Chunk, Uri, segments
from bams3.api.table import Table, table
from bams3.bam.regions import UNPLACED, Region, parse_regions
from bams3.dataset.reader import DatasetReader
from bams3.dataset.shards import shard as shard_of
from bams3.errors import UsageError
from bams3.parallel.workers import Workers, in_order, worker_count
from bams3.select.query import RecordFilter, columns, count, open_each, query
from bams3.select.schema import checked_fields

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    import pysam


RegionLike = str | tuple[str, int | None, int | None]
WorkerCount = int | Literal["auto"]
Result = TypeVar("Result")


def open(uri: Uri) -> "Dataset":
    """Open a dataset at a path or URI. Raises DatasetError if there is none, FormatError if it is damaged."""
    return Dataset(DatasetReader(uri))


def query_parallel(
    datasets: "Iterable[Dataset | Uri]", regions: Iterable[RegionLike], workers: WorkerCount = "auto",
    fields: str | Sequence[str] = DEFAULT_FIELDS, *, filter: str | None = None, require_flags: int = 0,
    exclude_flags: int = 0, min_mapq: int = 0,
) -> Iterator[Table]:  # fmt: skip
    """`Dataset.query` of each region by itself in each of many datasets, by `workers` threads.

    The tables come in the order of `itertools.product(datasets, regions)`, and their `records` are counts. All datasets
    are opened before, and regions looked up in each, so that what is missing is told at once.
    """
    names = checked_fields(fields)
    record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
    wanted = [*_each(regions)]
    opened = open_each(given._reader if isinstance(given, Dataset) else given for given in datasets)
    jobs = [(reader, Dataset(reader)._regions(region)) for reader in opened for region in wanted]

    def one(job: tuple[DatasetReader, list[Region]]) -> Table:
        return table(columns(*job, record_filter, names), names)

    jobs.reverse()  # and taken off, so that a dataset whose jobs are done is let go
    return in_order(one, (jobs.pop() for _ in range(len(jobs))), _threads(workers))


class ChunkInfo(NamedTuple):
    """Where a chunk is and what it holds: reads of `contig` (None: no position) that start in [start, end).

    `path` is for `read_chunk`; `bytes` is the size of the chunk.
    """

    path: str
    contig: str | None
    start: int
    end: int
    records: int
    bytes: int


class Dataset:
    """A committed dataset; `bams3.open` makes it.

    The methods that choose records share these parameters:

    - `contig`, `start`, `stop`: records that overlap [start, stop) of a contig, 0-based; by default from its
      first to its last base, and a `stop` past that is clipped. None overlaps an interval of no bases.
      The contig "*" is the records with no position. `region` instead is a string, 1-based and closed.
    - `filter`: an expression in samtools' filter language; `require_flags` and `exclude_flags`: FLAG bits
      that must all be set, or all be clear (samtools' -f and -F); `min_mapq`: least mapping quality (-q).
    - `workers`: threads that read and decode; "auto" for all available cores.

    UsageError is raised for an unknown contig, a start past the stop or past the contig's end, and an
    expression that is not valid, FormatError where the dataset is damaged.
    """

    def __init__(self, reader: DatasetReader) -> None:
        self._reader = reader
        self._references = reader.references
        self._contigs = {name: (i, length) for i, (name, length) in enumerate(self._references)}

    def __repr__(self) -> str:
        manifest = self._reader.manifest
        return f"<bams3.Dataset {self._reader.uri}: {manifest.records} records in {manifest.chunks} chunks>"

    @property
    def uri(self) -> str:
        """The path or URI that was given to `open`, without user, password and query."""
        return self._reader.uri

    @cached_property
    def header(self) -> "pysam.AlignmentHeader":
        """The header, as pysam has it."""
        from pysam import AlignmentHeader

        from bams3.output.alignments import sam_header

        return AlignmentHeader.from_text(sam_header(self._reader.header).decode("utf-8", "surrogateescape"))

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the contigs, by reference id."""
        return tuple(name for name, _ in self._references)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the contigs in bp, by reference id."""
        return tuple(length for _, length in self._references)

    @cached_property
    def chunks(self) -> list[ChunkInfo]:
        """All chunks, in the order of the BAM."""
        names = dict(enumerate(self.references))
        return [
            ChunkInfo(
                self._reader.chunk_uri(entry), names.get(entry.reference_id), entry.start, entry.end, entry.records,
                entry.size,
            )
            for entry in self._reader.index
        ]  # fmt: skip

    @cached_property
    def stats(self) -> dict[str, Any]:
        """Counts from the manifest: `records`, `flagstat`, `references` (mapped, unmapped), `unplaced` …"""
        from bams3.operations.stats import as_dict

        return as_dict(self._reader.manifest)

    def count(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
    ) -> int:  # fmt: skip
        """Number of records that `fetch` would give; where the index tells it, nothing else is read."""
        chosen = self._chosen(contig, start, stop, region, until_eof)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return count(self._reader, chosen, record_filter, _threads(workers))

    def coverage(
        self, contig: str, start: int | None = None, stop: int | None = None, *, fast_mode: bool = False,
        exclude_flags: int = 1796, min_mapq: int = 0,
    ) -> "np.ndarray":  # fmt: skip
        """Depth of [start, stop) of a contig, as mosdepth counts it: int32, shape (stop - start,).

        Bases where both mates of a pair lie count once, unless `fast_mode`, which also counts deletions and
        skips. A `stop` past the contig's end is clipped, and the array with it.
        """
        import numpy as np

        from bams3.coverage import CoverageOptions, depth_of

        window = self._window(contig, start, stop)
        options = CoverageOptions(fast_mode=fast_mode, exclude_flags=exclude_flags, min_mapq=min_mapq)
        groups = self._reader.depth_row_groups(*window)
        depth = depth_of(groups, *window, options)
        values = np.zeros(len(depth), np.int32)  # a MemoryError where there is no room; gaps take none
        depth.copy_to(values)
        return values

    def fetch(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
    ) -> Iterator["pysam.AlignedSegment"]:  # fmt: skip
        """Records that overlap a region, in order; by default those of all contigs, and with `until_eof` also
        those with no position, as pysam.

        They are decoded while the caller goes through them, a little ahead; leaving the iterator ends that.
        """
        chosen = self._chosen(contig, start, stop, region, until_eof)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return segments(query(self._reader, chosen, record_filter, _threads(workers)), self._reader.header)

    def query(
        self, regions: RegionLike | Iterable[RegionLike] | None = None, fields: str | Sequence[str] = DEFAULT_FIELDS,
        *, filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
        workers: WorkerCount = 1,
    ) -> Table:  # fmt: skip
        """Columns of the records that overlap any of `regions` (default: every record), each record once.

        `regions`: strings, or (contig, start, stop), 0-based. `fields`: qname flag rname pos endpos mapq cigar
        mrname mpos tlen seq qual, ncigar (operations), qlen rlen (bases of the CIGAR on the read and the
        reference), sclen hclen (bases clipped), refid mrefid library, and tags as "[NM]"; only what they need is
        read. pos and mpos are 0-based, -1 if missing; endpos is exclusive. Raises UsageError for an unknown field.
        """
        names = checked_fields(fields)
        chosen = None if regions is None else self._regions(regions)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return table(columns(self._reader, chosen, record_filter, names, _threads(workers)), names)

    def to_batches(
        self, regions: RegionLike | Iterable[RegionLike] | None = None, fields: str | Sequence[str] = DEFAULT_FIELDS,
        *, filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
        workers: WorkerCount = 1,
    ) -> "pyarrow.RecordBatchReader":  # fmt: skip
        """The same as a stream of Arrow record batches, read and decoded while it is consumed: in bounded memory.

        Types are those of docs/engines/arrow.md (needs pyarrow: the extra `arrow`).
        """
        from bams3.api.arrow import record_batches

        names = checked_fields(fields)
        chosen = None if regions is None else self._regions(regions)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return record_batches(columns(self._reader, chosen, record_filter, names, _threads(workers)), names)

    def query_parallel(
        self, regions: Iterable[RegionLike], workers: WorkerCount = "auto",
        fields: str | Sequence[str] = DEFAULT_FIELDS, *, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0,
    ) -> Iterator[Table]:  # fmt: skip
        """`query` of each region by itself, by `workers` threads: tables in the order of the regions.

        A record that overlaps two regions is in the tables of both.
        """
        return query_parallel(
            [self], regions, workers, fields, filter=filter, require_flags=require_flags,
            exclude_flags=exclude_flags, min_mapq=min_mapq,
        )  # fmt: skip

    def map(
        self, function: "Callable[[Chunk], Result]", *, workers: WorkerCount = "auto", executor: Any = None,
        ordered: bool = True, shard: tuple[int, int] = (1, 1),
    ) -> Iterator[Result]:  # fmt: skip
        """What `function` makes of each chunk, in order, or as it is ready; a few chunks are begun ahead.

        They are run by `workers` threads, or by an `executor` that runs so many at once: of concurrent.futures, Dask's
        Client, or what else has `submit` and gives such futures. Function, chunks and results are pickled where that
        needs it; a pickled chunk is only where it is. `shard`: (i, n), the i-th of n runs of chunks of like bytes.
        The error of the first chunk that fails is raised.
        """
        pool = Workers(_threads(workers), executor)
        chunks = (Chunk(reader.chunk(entry)) for reader, entry in shard_of([self._reader], *shard))

        def results() -> Iterator[Result]:
            with pool:
                yield from pool.map(function, chunks, ordered=ordered)

        return results()

    def _chosen(
        self, contig: str | None, start: int | None, stop: int | None, region: str | None, until_eof: bool
    ) -> list[Region] | None:
        """What the parameters of `fetch` choose; None for everything."""
        if contig is None and (start is not None or stop is not None):
            raise UsageError("start and stop need a contig")
        if region is not None:
            if contig is not None:
                raise UsageError(f"give a contig or a region, not both ({contig!r}, {region!r})")
            return parse_regions([region], self._references)
        if contig is not None:
            return self._regions((contig, start, stop))
        return None if until_eof else parse_regions(["*"], self._references)

    def _regions(self, regions: RegionLike | Iterable[RegionLike]) -> list[Region]:
        chosen: list[Region] = []
        for region in _each(regions):
            if isinstance(region, str):
                chosen += parse_regions([region], self._references)
            elif region[0] == "*":
                chosen.append(UNPLACED)
            else:
                window = self._window(*region)
                chosen += [window] if window.start < window.end else []
        return chosen

    def _window(self, contig: str, start: int | None, stop: int | None) -> Region:
        if contig not in self._contigs:
            raise UsageError(f"unknown contig {contig!r}")
        reference_id, length = self._contigs[contig]
        first = 0 if start is None else index(start)
        last = length if stop is None else index(stop)
        if first > length:
            raise UsageError(f"{contig}: start {first} is past the end of the contig ({length} bp)")
        if not 0 <= first <= last:
            raise UsageError(f"{contig}: from {first} to {last} is not an interval (0 <= start <= stop)")
        return Region(reference_id, first, min(last, length))


def _each(regions: RegionLike | Iterable[RegionLike]) -> Iterable[RegionLike]:
    """The regions, of which one may stand alone: a string, or a tuple of contig, start, stop."""
    alone = isinstance(regions, tuple) and len(regions) == 3 and not isinstance(regions[1], str | tuple)
    return [regions] if isinstance(regions, str) or alone else regions  # type: ignore[list-item, return-value]


def _filter(text: str | None, require: int, exclude: int, min_mapq: int) -> RecordFilter:
    if text is None:
        return RecordFilter(require, exclude, min_mapq)
    from bams3.select.filters import Expression

    return RecordFilter(require, exclude, min_mapq, None, Expression(text))


def _threads(workers: WorkerCount) -> int:
    if workers == 1:
        return 1
    return worker_count(workers)
