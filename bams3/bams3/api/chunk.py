"""Reading of stand-alone chunks: `read_chunk`, `Chunk`."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bams3.api.table import Table, table
from bams3.chunk.reader import ChunkReader, open_chunk
from bams3.select.fields import FilterColumns
from bams3.select.schema import checked_fields

if TYPE_CHECKING:
    import pyarrow
    import pysam

    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock
    from bams3.chunk.footer import Footer

Uri = str | os.PathLike[str]
DEFAULT_FIELDS = ("qname", "flag", "rname", "pos", "endpos", "mapq", "cigar")


def read_chunk(path: Uri) -> "Chunk":
    """Open one chunk; no other file of the dataset is needed.

    Parameters
    ----------
    path
        Path or URI of the chunk file.

    Returns
    -------
    Chunk

    Raises
    ------
    FormatError
        If the chunk is missing or damaged.
    """
    chunk = open_chunk(path)
    _ = chunk.footer
    return Chunk(chunk)


class Chunk:
    """One chunk, independent of its dataset; `read_chunk` and `Dataset.map` create it.

    Data is read when it is first used. Methods raise FormatError if the chunk is missing or damaged.
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
        """The contig of all records; None if they have no position."""
        names = {reference: name for reference, name, _ in self._footer.references}
        return names.get(self._footer.reference_id)

    @property
    def window(self) -> tuple[int, int]:
        """The window (start, end), 0-based half-open, in which all records start."""
        return self._footer.start, self._footer.end

    @property
    def records(self) -> int:
        """Number of records."""
        return self._footer.records

    @cached_property
    def _header(self) -> "Header":
        """A header with the references that the records mention, at their ids; the others get placeholder names."""
        from bams3.bam.header import Header

        known = {reference: (name, length) for reference, name, length in self._footer.references}
        last = max(known, default=-1)
        return Header(b"", tuple(known.get(i, (f"unknown_{i}", 0)) for i in range(last + 1)))

    def query(self, fields: str | Sequence[str] = DEFAULT_FIELDS) -> Table:
        """Return columns of the records.

        Parameters
        ----------
        fields
            Names of columns, as in `Dataset.query`; `library` is "" since a chunk has no @RG lines.

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
        from bams3.api.arrow import record_batches, schema_of

        names = checked_fields(fields)
        parts = list(self._columns(names))
        return record_batches(parts, names, schema_of(names, parts)).read_all()

    def _columns(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for group in self._chunk.row_groups:
            found = FilterColumns(group, lambda: self._header)
            yield {name: found[name] for name in names}

    def fetch(self) -> Iterator["pysam.AlignedSegment"]:
        """Yield the records in order; their header only has the references that the records mention."""
        return segments((group.block() for group in self._chunk.row_groups), self._header)


def segments(blocks: Iterator["RecordBlock"], header: "Header") -> Iterator["pysam.AlignedSegment"]:
    """Yield records as pysam.AlignedSegment; they are passed to pysam through a pipe, as uncompressed BAM."""
    import pysam

    from bams3.output.alignments import bam_bytes, piped

    # Blocks are closed last, after the thread that consumes them has ended; this ends the threads that produce them.
    with (
        closing(blocks),  # type: ignore[type-var]
        piped(bam_bytes(blocks, header)) as pipe,
        pysam.AlignmentFile(pipe, "rb", check_sq=False) as alignments,
    ):
        yield from alignments
