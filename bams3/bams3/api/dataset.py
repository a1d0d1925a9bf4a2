"""The Python interface: `bams3.open`, `Dataset`, `query_parallel` (`read_chunk`: see bams3.api.chunk).

Positions are 0-based, ends exclusive; only region strings ("chr1:1-100") are 1-based and closed, as in samtools.
`fetch`, `count` and `header` behave like those of pysam. Several threads may use a `Dataset` at once. Invalid
arguments and damaged files raise subclasses of `bams3.Bams3Error`.
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
    """Open a dataset.

    Parameters
    ----------
    uri
        Path or URI of the dataset.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError, FormatError
        If there is no complete dataset; if it is damaged.
    """
    return Dataset(DatasetReader(uri))


def query_parallel(
    datasets: "Iterable[Dataset | Uri]", regions: Iterable[RegionLike], workers: WorkerCount = "auto",
    fields: str | Sequence[str] = DEFAULT_FIELDS, *, filter: str | None = None, require_flags: int = 0,
    exclude_flags: int = 0, min_mapq: int = 0,
) -> Iterator[Table]:  # fmt: skip
    """Query each region separately in each of many datasets, with `workers` threads.

    All datasets are opened and all regions looked up before the first query, so that errors are raised at once.

    Parameters
    ----------
    datasets
        Datasets, or paths or URIs of datasets.
    regions
        Region strings, or (contig, start, stop), 0-based half-open.
    workers
        Number of threads, or "auto" for all available cores.
    fields
        Names of columns, as in `Dataset.query`.
    filter, require_flags, exclude_flags, min_mapq
        Conditions on records: see `Dataset`.

    Returns
    -------
    Iterator of Table
        In the order of `itertools.product(datasets, regions)`; `Table.records` is the number of records.

    Raises
    ------
    DatasetError, UsageError
        If a dataset does not exist; if a region, a field or the filter is invalid.
    """
    names = checked_fields(fields)
    record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
    wanted = [*_each(regions)]
    opened = open_each(given._reader if isinstance(given, Dataset) else given for given in datasets)
    jobs = [(reader, Dataset(reader)._regions(region)) for reader in opened for region in wanted]

    def one(job: tuple[DatasetReader, list[Region]]) -> Table:
        return table(columns(*job, record_filter, names), names)

    jobs.reverse()  # and popped, so that a dataset is released once its jobs are done
    return in_order(one, (jobs.pop() for _ in range(len(jobs))), _threads(workers))


class ChunkInfo(NamedTuple):
    """Location and contents of a chunk.

    `path`: path or URI, for `read_chunk`. `contig`, `start`, `end`: its records start in [start, end), 0-based, of
    this contig (None: they have no position). `records`: number of records. `bytes`: size of the chunk.
    """

    path: str
    contig: str | None
    start: int
    end: int
    records: int
    bytes: int


class Dataset:
    """A complete dataset; `bams3.open` returns it.

    The methods that select records share these parameters:

    - `contig`, `start`, `stop`: select the records that overlap [start, stop) of a contig, 0-based. The default is the
      whole contig; a `stop` past its end is clipped. No record overlaps an empty interval. The contig "*" selects the
      records without a position. `region`: a region string, 1-based and closed, instead of these three.
    - `filter`: an expression in samtools' filter language. `require_flags`, `exclude_flags`: FLAG bits that must all
      be set, or all be clear (samtools' -f and -F). `min_mapq`: minimum mapping quality (-q).
    - `workers`: number of threads that read and decode; "auto" for all available cores.

    They raise UsageError for an unknown contig, for a start past the stop or past the contig's end, and for an invalid
    expression; FormatError if the dataset is damaged.
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
        """The path or URI passed to `open`, without user, password and query."""
        return self._reader.uri

    @cached_property
    def header(self) -> "pysam.AlignmentHeader":
        """The header as a pysam.AlignmentHeader."""
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
        """Counts from the manifest: `records`, `flagstat`, `references` (mapped, unmapped), `unplaced` and others."""
        from bams3.operations.stats import as_dict

        return as_dict(self._reader.manifest)

    def count(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
    ) -> int:  # fmt: skip
        """Return the number of records that `fetch` would yield; row groups that the index decides are not read."""
        chosen = self._chosen(contig, start, stop, region, until_eof)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return count(self._reader, chosen, record_filter, _threads(workers))

    def coverage(
        self, contig: str, start: int | None = None, stop: int | None = None, *, fast_mode: bool = False,
        exclude_flags: int = 1796, min_mapq: int = 0,
    ) -> "np.ndarray":  # fmt: skip
        """Return the depth of [start, stop) of a contig, as mosdepth counts it.

        Parameters
        ----------
        contig, start, stop
            0-based half-open interval, by default the whole contig; a `stop` past its end is clipped.
        fast_mode
            Count reads from start to end, with deletions and skips, and bases that both mates cover twice, not once.
        exclude_flags, min_mapq
            Exclude reads with any of these FLAG bits, or with a lower mapping quality.

        Returns
        -------
        numpy.ndarray
            int32, shape (stop - start,), after clipping.
        """
        import numpy as np

        from bams3.coverage import CoverageOptions, depth_of

        window = self._window(contig, start, stop)
        options = CoverageOptions(fast_mode=fast_mode, exclude_flags=exclude_flags, min_mapq=min_mapq)
        groups = self._reader.depth_row_groups(*window)
        depth = depth_of(groups, *window, options)
        values = np.zeros(
            len(depth), np.int32
        )  # raises MemoryError if there is no room; untouched gaps take none
        depth.copy_to(values)
        return values

    def fetch(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, require_flags: int = 0,
        exclude_flags: int = 0, min_mapq: int = 0, workers: WorkerCount = 1,
    ) -> Iterator["pysam.AlignedSegment"]:  # fmt: skip
        """Yield the records that overlap a region, in order, as pysam.AlignedSegment.

        As in pysam, the default is the records of all contigs; with `until_eof`, also those without a position.
        Records are decoded during iteration, slightly ahead; closing the iterator stops this.
        """
        chosen = self._chosen(contig, start, stop, region, until_eof)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return segments(query(self._reader, chosen, record_filter, _threads(workers)), self._reader.header)

    def query(
        self, regions: RegionLike | Iterable[RegionLike] | None = None, fields: str | Sequence[str] = DEFAULT_FIELDS,
        *, filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
        workers: WorkerCount = 1,
    ) -> Table:  # fmt: skip
        """Return columns of the records that overlap any of `regions`, each record once.

        Parameters
        ----------
        regions
            Region strings, or (contig, start, stop), 0-based half-open; one or many. Default: every record.
        fields
            Names of columns; only the streams that they need are read. `qname`, `flag`, `rname`, `pos`, `endpos`,
            `mapq`, `cigar`, `mrname`, `mpos`, `tlen`, `seq`, `qual`; `ncigar` (number of CIGAR operations), `qlen` and
            `rlen` (bases of the CIGAR on the read and on the reference), `sclen` and `hclen` (soft- and hard-clipped
            bases), `refid`, `mrefid`, `library`; and tags as "[NM]". `pos` and `mpos` are 0-based, -1 if missing;
            `endpos` is exclusive.
        filter, require_flags, exclude_flags, min_mapq, workers
            See `Dataset`.

        Returns
        -------
        Table
            One array per field, shape (records,).

        Raises UsageError if a field, a region or the filter is invalid.
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
        """Return the columns of `query` as a stream of Arrow record batches (requires pyarrow: the extra `arrow`).

        Batches are read and decoded as the stream is consumed, in bounded memory. The parameters are those of `query`;
        docs/engines/arrow.md lists the types.
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
        """Query each region separately, with `workers` threads; yield tables in the order of the regions.

        A record that overlaps two regions is in both tables. The parameters are those of `query`.
        """
        return query_parallel(
            [self], regions, workers, fields, filter=filter, require_flags=require_flags,
            exclude_flags=exclude_flags, min_mapq=min_mapq,
        )  # fmt: skip

    def map(
        self, function: "Callable[[Chunk], Result]", *, workers: WorkerCount = "auto", executor: Any = None,
        ordered: bool = True, shard: tuple[int, int] = (1, 1),
    ) -> Iterator[Result]:  # fmt: skip
        """Apply a function to each chunk and yield the results; a few chunks are started in advance.

        Parameters
        ----------
        function
            Called with a `Chunk`. With an executor that uses processes, function and results must be picklable; a
            chunk is pickled as its location.
        workers
            Number of threads, or of tasks that the executor runs at once; "auto" for all available cores.
        executor
            A concurrent.futures executor, a Dask Client, or any object with `submit` that returns such futures.
        ordered
            Yield results in the order of the chunks; otherwise as soon as they are ready.
        shard
            (i, n): only the i-th of n runs of consecutive chunks, which have about equal bytes.

        Raises
        ------
        Exception
            The error of the first chunk that fails.
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
        """Return the regions that the parameters of `fetch` select; None for everything."""
        if contig is None and (start is not None or stop is not None):
            raise UsageError("start and stop need a contig")
        if region is not None:
            if contig is not None:
                raise UsageError(
                    f"contig and region cannot be combined ({contig!r}, {region!r}); give one of them"
                )
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
    """Return the regions as an iterable; a single string or (contig, start, stop) is accepted too."""
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
