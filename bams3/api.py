"""The Python interface: `bams3.open`, `Dataset`, `read_chunk`.

Positions are 0-based, ends exclusive; only region strings ("chr1:1-100") are 1-based and closed, as in
samtools. `fetch`, `count` and `header` behave as pysam's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bams3.chunk.reader import Chunk as StoredChunk
from bams3.chunk.reader import open_chunk
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.operations.query import FilterColumns, RecordFilter, columns, count, in_order, query
from bams3.regions import Region, parse_regions

if TYPE_CHECKING:
    import numpy as np
    import pysam

RegionLike = str | tuple[str, int, int]
DEFAULT_FIELDS = ("qname", "flag", "rname", "pos", "endpos", "mapq", "cigar")


def open(uri: Any) -> "Dataset":
    """Open a dataset at a path or URI. Raises DatasetError if there is none, FormatError if it is damaged."""
    return Dataset(DatasetReader(uri))


def read_chunk(path: Any) -> "Chunk":
    """Open one chunk, with nothing else at hand. Raises FormatError if it is damaged."""
    return Chunk(open_chunk(path))


class ChunkInfo(NamedTuple):
    """Where a chunk is and what it holds: reads of `contig` (None: no position) that start in [start, end)."""

    path: str
    contig: str | None
    start: int
    end: int
    records: int
    bytes: int


class Table(dict[str, Any]):
    """Columns by name, all of one length: numbers as numpy arrays, text as arrays of str (dtype object)."""

    def to_arrow(self) -> Any:
        """As a pyarrow.Table (needs pyarrow: the extra `arrow`)."""
        import pyarrow

        return pyarrow.table({name: pyarrow.array(column) for name, column in self.items()})


class Dataset:
    """A committed dataset; `bams3.open` makes it."""

    def __init__(self, reader: DatasetReader) -> None:
        self._reader = reader

    def __repr__(self) -> str:
        manifest = self._reader.manifest
        return f"<bams3.Dataset {self._reader.uri}: {manifest.records} records in {manifest.chunks} chunks>"

    @property
    def uri(self) -> str:
        """As it was given to `open`."""
        return self._reader.uri

    @cached_property
    def header(self) -> "pysam.AlignmentHeader":
        """The header, as pysam has it."""
        from pysam import AlignmentHeader

        from bams3.operations.export import sam_header

        return AlignmentHeader.from_text(sam_header(self._reader.header).decode("utf-8", "surrogateescape"))

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the contigs, by reference id."""
        return tuple(name for name, _ in self._reader.references)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the contigs in bp, by reference id."""
        return tuple(length for _, length in self._reader.references)

    @cached_property
    def chunks(self) -> list[ChunkInfo]:
        """All chunks, in the order of the BAM."""
        return [
            ChunkInfo(
                f"{self.uri}/{entry.path}", self.references[entry.reference_id] if entry.reference_id >= 0 else None,
                entry.start, entry.end, entry.records, entry.size,
            )
            for entry in self._reader.index
        ]  # fmt: skip

    @cached_property
    def stats(self) -> dict[str, Any]:
        """Counts from the manifest: `records`, `flagstat`, `references` (mapped, unmapped), `unplaced` …"""
        import json

        from bams3.operations.stats import to_json

        return json.loads(to_json(self._reader.manifest))

    def count(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0,
        min_mapq: int = 0, workers: int = 1,
    ) -> int:  # fmt: skip
        """Number of records that overlap a region (default: all contigs) and pass the filters.

        `filter`: an expression in samtools' language; the flags are samtools' -f and -F, `min_mapq` its -q.
        """
        chosen = self._region(contig, start, stop, region)
        return count(self._reader, chosen, _filter(filter, require_flags, exclude_flags, min_mapq), workers)

    def coverage(
        self, contig: str, start: int | None = None, stop: int | None = None, *, fast_mode: bool = False,
        exclude_flags: int = 1796, min_mapq: int = 0,
    ) -> "np.ndarray":  # fmt: skip
        """Depth of [start, stop) of a contig: int32, shape (stop - start,); as mosdepth counts it.

        Bases where both mates of a pair lie count once, unless `fast_mode`, which also counts deletions and
        skips.
        """
        import numpy as np

        from bams3.operations.coverage import CoverageOptions, depth_array

        (chosen,) = self._region(contig, start, stop, None)
        options = CoverageOptions(fast_mode=fast_mode, exclude_flags=exclude_flags, min_mapq=min_mapq)
        groups = self._reader.row_groups(*chosen)
        return np.frombuffer(depth_array(groups, *chosen, options), np.int32)

    def fetch(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None,
        region: str | None = None, *, until_eof: bool = False, filter: str | None = None, workers: int = 1,
    ) -> Iterator["pysam.AlignedSegment"]:  # fmt: skip
        """Records that overlap a region as pysam.AlignedSegment; default: of all contigs, and those with no
        position too with `until_eof`, as pysam."""
        chosen = None if until_eof else self._region(contig, start, stop, region)
        yield from _segments(query(self._reader, chosen, _filter(filter), workers), self._reader.header)

    def query(
        self, regions: RegionLike | Sequence[RegionLike] | None = None, fields: Sequence[str] = DEFAULT_FIELDS, *,
        filter: str | None = None, require_flags: int = 0, exclude_flags: int = 0, min_mapq: int = 0,
        workers: int = 1,
    ) -> Table:  # fmt: skip
        """Columns of the records that overlap any of `regions` (default: everything), each record once.

        `fields`: qname flag rname pos endpos mapq cigar mrname mpos tlen seq qual ncigar qlen rlen refid mrefid
        library sclen hclen, and tags as "[NM]"; only what they need is read. `regions`: strings, or (contig,
        start, stop), 0-based. Raises UsageError for an unknown field or contig.
        """
        chosen = None if regions is None else self._regions(regions)
        record_filter = _filter(filter, require_flags, exclude_flags, min_mapq)
        return _table(columns(self._reader, chosen, record_filter, fields, workers), fields)

    def query_parallel(
        self, regions: Iterable[RegionLike], workers: int | str = "auto", fields: Sequence[str] = DEFAULT_FIELDS,
        filter: str | None = None,
    ) -> Iterator[Table]:  # fmt: skip
        """`query` of each region, in their order, by `workers` threads."""
        from bams3.operations.convert import worker_count

        def one(region: RegionLike) -> Table:
            return self.query([region], fields, filter=filter)

        yield from in_order(one, regions, worker_count(workers))

    def _region(
        self, contig: str | None, start: int | None, stop: int | None, region: str | None
    ) -> list[Region]:
        references = self._reader.references
        if region is not None:
            return parse_regions([region], references)
        if contig is None:
            return parse_regions(["*"], references)
        return [_window(references, contig, start, stop)]

    def _regions(self, regions: RegionLike | Sequence[RegionLike]) -> list[Region]:
        references = self._reader.references
        if isinstance(regions, str) or (
            isinstance(regions, tuple) and len(regions) == 3 and isinstance(regions[1], int)
        ):
            regions = [regions]  # type: ignore[list-item]
        chosen: list[Region] = []
        for region in regions:
            chosen += (
                parse_regions([region], references)
                if isinstance(region, str)
                else [_window(references, *region)]
            )
        return chosen


class Chunk:
    """One chunk, read alone: `read_chunk` makes it."""

    def __init__(self, chunk: StoredChunk) -> None:
        self._chunk = chunk
        self._footer = chunk.footer

    @property
    def contig(self) -> str | None:
        """The contig of all records; None: they have no position."""
        names = {reference: name for reference, name, _ in self._footer.references}
        return names.get(self._footer.reference_id)

    @property
    def window(self) -> tuple[int, int]:
        """All records start in [start, end), 0-based."""
        return self._footer.start, self._footer.end

    @property
    def records(self) -> int:
        """Number of records."""
        return self._footer.records

    @cached_property
    def _header(self) -> Any:
        """A header of the references that the records mention, each at its id; the others have made-up names."""
        from bams3.sources.header import Header

        known = {reference: (name, length) for reference, name, length in self._footer.references}
        last = max(known, default=-1)
        return Header(b"", tuple(known.get(i, (f"unknown_{i}", 0)) for i in range(last + 1)))

    def query(self, fields: Sequence[str] = DEFAULT_FIELDS) -> Table:
        """Columns of the records; `fields` as in `Dataset.query`."""
        groups = (FilterColumns(group, self._header) for group in self._chunk.row_groups)
        return _table(({name: group[name] for name in fields} for group in groups), fields)

    def fetch(self) -> Iterator["pysam.AlignedSegment"]:
        """The records as pysam.AlignedSegment."""
        yield from _segments((group.block() for group in self._chunk.row_groups), self._header)


def _window(
    references: Sequence[tuple[str, int]], contig: str, start: int | None, stop: int | None
) -> Region:
    for reference_id, (name, length) in enumerate(references):
        if name == contig:
            first, last = start or 0, length if stop is None else min(stop, length)
            if not 0 <= first <= last:
                raise UsageError(
                    f"{contig}: start {start} and stop {stop} are not a region of its {length} bp"
                )
            return Region(reference_id, first, last)
    raise UsageError(f"unknown contig {contig!r}")


def _filter(text: str | None, require: int = 0, exclude: int = 0, min_mapq: int = 0) -> RecordFilter:
    if text is None:
        return RecordFilter(require, exclude, min_mapq)
    from bams3.operations.filters import Expression

    return RecordFilter(require, exclude, min_mapq, None, Expression(text))


def _segments(blocks: Iterable[Any], header: Any) -> Iterator["pysam.AlignedSegment"]:
    """Records as pysam has them: through a pipe, as uncompressed BAM."""
    import pysam

    from bams3.operations.export import bam_bytes, piped

    with (
        piped(bam_bytes(blocks, header)) as pipe,
        pysam.AlignmentFile(pipe, "rb", check_sq=False) as alignments,
    ):
        yield from alignments


def _table(parts: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> Table:
    import numpy as np

    pieces: dict[str, list[Any]] = {name: [] for name in fields}
    for part in parts:
        for name in fields:
            column = part[name]
            pieces[name].append(column if isinstance(column, np.ndarray) else np.array(column, dtype=object))
    return Table((name, np.concatenate(piece) if piece else np.array([])) for name, piece in pieces.items())
