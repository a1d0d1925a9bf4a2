"""The Python interface: `bams3.open`, `Dataset`, `query_parallel`; `read_chunk` is in `bams3.api.chunk`.

Positions are 0-based, and ends are exclusive; only region strings ("chr1:1-100") are 1-based with both ends included,
as in samtools.
`fetch`, `count` and `header` behave like those of pysam. Several threads may use a `Dataset` at once. Invalid
arguments and damaged files raise subclasses of `bams3.Bams3Error`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bams3.api.alignments import Alignments, RegionLike, WorkerCount, each_region, filter_of, threads
from bams3.api.chunk import DEFAULT_FIELDS, Chunk, Uri
from bams3.api.table import Table, table
from bams3.bam.regions import Region
from bams3.dataset.opening import open_reader, open_readers
from bams3.dataset.reader import DatasetReader
from bams3.dataset.shards import shard as shard_of
from bams3.parallel.workers import Workers, in_order
from bams3.select.query import RecordFilter, columns, count
from bams3.select.schema import checked_fields

if TYPE_CHECKING:
    import pyarrow


Result = TypeVar("Result")


def open(uri: Uri | Sequence[Uri]) -> "Dataset":
    """Open a dataset, or only some of its chunks.

    Parameters
    ----------
    uri
        Path or URI of the dataset, or of one chunk; or paths or URIs of several chunks of the same dataset.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        If there is no complete dataset.
    FormatError
        If it is damaged.
    """
    return Dataset(open_reader(uri))


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
    DatasetError
        If a dataset does not exist.
    UsageError
        If a region, a field or the filter is invalid.
    """
    names = checked_fields(fields)
    record_filter = filter_of(filter, require_flags, exclude_flags, min_mapq)
    jobs = _jobs(datasets, regions)
    return _on_each(jobs, lambda reader, regions: _table(reader, regions, record_filter, names), workers)


def count_parallel(
    datasets: "Iterable[Dataset | Uri]", regions: Iterable[RegionLike], workers: WorkerCount = "auto", *,
    filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
) -> Iterator[int]:  # fmt: skip
    """Count the records of each region separately in each of many datasets, with `workers` threads.

    This is like `query_parallel`, but makes no columns, and reads row groups only if the index does not suffice.

    Parameters
    ----------
    datasets, regions, workers, filter, require_flags, exclude_flags, min_mapq
        As for `query_parallel`.

    Returns
    -------
    Iterator of int
        In the order of `itertools.product(datasets, regions)`.

    Raises
    ------
    DatasetError
        If a dataset does not exist.
    UsageError
        If a region or the filter is invalid.
    """
    record_filter = filter_of(filter, require_flags, exclude_flags, min_mapq)
    jobs = _jobs(datasets, regions)
    return _on_each(jobs, lambda reader, regions: count(reader, regions, record_filter), workers)


_Job = tuple[DatasetReader, list[Region]]


def _jobs(datasets: "Iterable[Dataset | Uri]", regions: Iterable[RegionLike]) -> list[_Job]:
    wanted = [*each_region(regions)]
    opened = open_readers(
        (given._reader if isinstance(given, Dataset) else given for given in datasets), prefetch=()
    )
    return [(reader, Alignments(reader).regions_of(region)) for reader in opened for region in wanted]


def _on_each(
    jobs: list[_Job], function: Callable[[DatasetReader, list[Region]], Result], workers: WorkerCount
) -> Iterator[Result]:
    jobs.reverse()  # jobs are popped, so a dataset is released as soon as its jobs are done
    left = (jobs.pop() for _ in range(len(jobs)))
    return in_order(lambda job: function(*job), left, threads(workers))


def _table(
    reader: DatasetReader, regions: list[Region] | None, record_filter: RecordFilter, names: Sequence[str],
    workers: int = 1,
) -> Table:  # fmt: skip
    if not names:
        return Table((), count(reader, regions, record_filter, workers))
    return table(columns(reader, regions, record_filter, names, workers), names)


class ChunkInfo(NamedTuple):
    """Location and contents of a chunk.

    Attributes
    ----------
    path
        Path or URI, for `read_chunk`.
    contig, start, end
        All records start in [start, end), 0-based, of this contig. `contig` is None if they have no position.
    records
        Number of records.
    bytes
        Size of the chunk.
    """

    path: str
    contig: str | None
    start: int
    end: int
    records: int
    bytes: int


class Dataset(Alignments):
    """A complete dataset, or a part of one; `bams3.open` returns it. `Alignments` describes the shared parameters."""

    def __repr__(self) -> str:
        manifest = self._reader.manifest
        return f"<bams3.Dataset {self._reader.uri}: {manifest.records} records in {manifest.chunks} chunks>"

    @property
    def uri(self) -> str:
        """The path or URI passed to `open`, without user, password and query."""
        return self._reader.uri

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
        """Counts from the manifest: `records`, `flagstat`, `references` (mapped, unmapped), `unplaced` and more."""
        from bams3.operations.stats import as_dict

        return as_dict(self._reader)

    def query(
        self, regions: RegionLike | Iterable[RegionLike] | None = None, fields: str | Sequence[str] = DEFAULT_FIELDS,
        *, filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
        workers: WorkerCount = 1,
    ) -> Table:  # fmt: skip
        """Return columns of the records that overlap any of `regions`, each record once.

        Parameters
        ----------
        regions
            One or many regions: region strings, or (contig, start, stop), 0-based half-open. Default: all records.
        fields
            Names of columns; only the streams that they need are read. The columns are `qname`, `flag`, `rname`, `pos`
            and `mpos` (0-based, -1 if missing), `endpos` (exclusive), `mapq`, `cigar`, `mrname`, `tlen`, `seq`, `qual`,
            `ncigar` (number of CIGAR operations), `qlen` and `rlen` (bases that the CIGAR consumes of the read and of
            the reference), `sclen` and `hclen` (soft- and hard-clipped bases), `refid`, `mrefid`, `library`,
            `qualities` (the values of `qual` as uint8 arrays, None if missing), and tags, such as "[NM]".
        filter, require_flags, exclude_flags, min_mapq, workers
            See `Dataset`.

        Returns
        -------
        Table
            One array per field, shape (records,).

        Raises
        ------
        UsageError
            If a field, a region or the filter is invalid.
        """
        names = checked_fields(fields)
        chosen = None if regions is None else self.regions_of(regions)
        record_filter = filter_of(filter, require_flags, exclude_flags, min_mapq)
        return _table(self._reader, chosen, record_filter, names, threads(workers))

    def to_batches(
        self, regions: RegionLike | Iterable[RegionLike] | None = None, fields: str | Sequence[str] = DEFAULT_FIELDS,
        *, filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
        workers: WorkerCount = 1,
    ) -> "pyarrow.RecordBatchReader":  # fmt: skip
        """Return the columns of `query` as a stream of Arrow record batches (requires pyarrow: the extra `arrow`).

        A batch has the records of one row group, at most 65,536. Batches are decoded while the stream is read, one at a
        time with one worker. The parameters are those of `query`; docs/engines/arrow.md lists the types.

        Raises
        ------
        UsageError
            If a field, a region or the filter is invalid. Also while the stream is read, if values of a tag do not fit
            the type of its column.
        """
        from bams3.api.arrow import record_batches

        names = checked_fields(fields)
        chosen = None if regions is None else self.regions_of(regions)
        record_filter = filter_of(filter, require_flags, exclude_flags, min_mapq)
        return record_batches(self._reader, chosen, record_filter, names, threads(workers))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Export the stream of `to_batches()` to programs that read Arrow's C streams, such as DuckDB and Polars."""
        return self.to_batches().__arrow_c_stream__(requested_schema)

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
            Called with a `Chunk`. If the executor uses processes, function and results must be picklable; a chunk is
            pickled as its location.
        workers
            Number of threads, or of tasks that the executor runs at once; "auto" for all available cores.
        executor
            A concurrent.futures executor, a Dask Client, or any object with `submit` that returns such futures.
        ordered
            Yield results in the order of the chunks; otherwise as soon as they are ready.
        shard
            (i, n): only the i-th of n runs of consecutive chunks. The runs are about equal in bytes.

        Raises
        ------
        Exception
            The error of the first chunk that fails.
        """
        pool = Workers(threads(workers), executor)
        chunks = (Chunk(reader.chunk(entry)) for reader, entry in shard_of([self._reader], *shard))

        def results() -> Iterator[Result]:
            with pool:
                yield from pool.map(function, chunks, ordered=ordered)

        return results()
