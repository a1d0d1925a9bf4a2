"""Reading of stand-alone chunks: `read_chunk`, `Chunk`."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from bams3.api.alignments import Alignments
from bams3.api.table import Table, table
from bams3.chunk.reader import ChunkReader, open_chunk
from bams3.dataset.loose import LooseChunks
from bams3.errors import UsageError
from bams3.select.fields import FilterColumns
from bams3.select.query import RecordFilter
from bams3.select.schema import checked_fields

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    import pysam

    from bams3.chunk.footer import Footer

Uri = str | os.PathLike[str]
DEFAULT_FIELDS = ("qname", "flag", "rname", "pos", "endpos", "mapq", "cigar")


def read_chunk(source: "Uri | bytes | BinaryIO") -> "Chunk":
    """Open one chunk; no other file of the dataset is needed.

    Parameters
    ----------
    source
        Path or URI of the chunk ("-" for standard input), its bytes, or an open binary file, which is read to its end.

    Returns
    -------
    Chunk

    Raises
    ------
    FormatError
        If the chunk is missing or damaged.
    """
    chunk = open_chunk(source)
    _ = chunk.footer
    return Chunk(chunk)


class Chunk:
    """One chunk, independent of its dataset; `read_chunk` and `Dataset.map` create it.

    Data is read when it is first needed. Methods raise FormatError if the chunk is missing or damaged.
    """

    def __init__(self, chunk: "ChunkReader | Callable[[], ChunkReader]") -> None:
        """`chunk`: a stored chunk, or a function that opens it when it is needed."""
        self._given = chunk

    @cached_property
    def _chunk(self) -> ChunkReader:
        return self._given if isinstance(self._given, ChunkReader) else self._given()

    def __repr__(self) -> str:
        return f"<bams3.Chunk {self.path}: {self.records} records of {self.contig or 'no contig'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Chunk, (self._given.again if isinstance(self._given, ChunkReader) else self._given,)

    @property
    def path(self) -> str:
        """Path or URI of the chunk, for `read_chunk`."""
        return self._chunk.name

    @property
    def _footer(self) -> "Footer":
        return self._chunk.footer

    @property
    def contig(self) -> str | None:
        """The contig of all records; None if they have no position, or if several contigs share the chunk."""
        names = {reference: name for reference, name, _ in self._footer.references}
        contigs = {*self._chunk.contigs} or {self._footer.reference_id}
        return names.get(contigs.pop()) if len(contigs) == 1 else None

    @property
    def window(self) -> tuple[int, int]:
        """The window (start, end), 0-based half-open, in which all records start."""
        return self._footer.start, self._footer.end

    @property
    def records(self) -> int:
        """Number of records."""
        return sum(zone.records for zone in self._chunk.zones)

    @cached_property
    def _part(self) -> LooseChunks:
        return LooseChunks([self._chunk])

    @cached_property
    def _alignments(self) -> Alignments:
        return Alignments(self._part)

    @property
    def header(self) -> "pysam.AlignmentHeader":
        """The header as a pysam.AlignmentHeader.

        If the dataset's header is large compared to the chunk, only the lines that the records need are there.
        """
        return self._alignments.header

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the contigs in `header`."""
        return self._alignments.references

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the contigs in `header`, in bp."""
        return self._alignments.lengths

    def count(self, *args: Any, **options: Any) -> int:
        """Return the number of records; the parameters are those of `Dataset.count`, by default all records."""
        return self._alignments.count(*args, **({"until_eof": not args} | options))

    def coverage(
        self, contig: str | None = None, start: int | None = None, stop: int | None = None, **options: Any
    ) -> "np.ndarray":
        """Return the depth of [start, stop) of a contig, counting only the chunk's records.

        Parameters
        ----------
        contig, start, stop
            0-based half-open interval; by default the chunk's window, up to the end of the contig.
        options
            The options of `Dataset.coverage`.

        Returns
        -------
        numpy.ndarray
            int32, shape (stop - start,), after clipping. Reads of earlier chunks that reach into the interval are not
            counted.

        Raises
        ------
        UsageError
            If the contig is unknown, or if none is given and the chunk has none.
        """
        if contig is None:
            if self.contig is None:
                raise UsageError(f"{self.path}: its records have no position, so they have no depth")
            contig = self.contig
            start = self.window[0] if start is None else start
            stop = self.window[1] if stop is None else stop
        return self._alignments.coverage(contig, start, stop, **options)

    def query(self, fields: str | Sequence[str] = DEFAULT_FIELDS) -> Table:
        """Return columns of the records.

        Parameters
        ----------
        fields
            Names of columns, as in `Dataset.query`. `refid` and `mrefid` are reference ids of the dataset.

        Returns
        -------
        Table
        """
        names = checked_fields(fields)
        return table(self._columns(names), names)

    def to_arrow(self, fields: str | Sequence[str] = DEFAULT_FIELDS) -> "pyarrow.Table":
        """Return columns of the records as an Arrow table, with one batch per row group (requires pyarrow).

        Parameters
        ----------
        fields
            Names of columns, as in `Dataset.query`.

        Returns
        -------
        pyarrow.Table
            Numbers are not copied.
        """
        from bams3.extras import need

        need("pyarrow", "to_arrow")
        from bams3.api.arrow import record_batches, schema_of

        names = checked_fields(fields)
        schema = schema_of(names, self._chunk.row_groups)
        return record_batches(self._part, None, RecordFilter(), names, schema=schema).read_all()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Export the table of `to_arrow()` to programs that read Arrow's C streams, such as DuckDB and Polars."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _columns(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        header = self._part.header  # needed before the first row group, because it may number the references
        for group in self._chunk.row_groups:
            found = FilterColumns(group, lambda: header)
            yield {name: found[name] for name in names}

    def fetch(self, *args: Any, **options: Any) -> Iterator["pysam.AlignedSegment"]:
        """Yield the records in order; the parameters are those of `Dataset.fetch`, by default all records."""
        return self._alignments.fetch(*args, **({"until_eof": not args} | options))
