"""A row group of a chunk. Its zone map is known from the start; its columns are decoded on demand."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bams3.bam.records import walk
from bams3.chunk.footer import RowGroupEntry
from bams3.chunk.spans import Range, Span, StoredStreams, Streams
from bams3.codec import Columns, ZoneMap, text_values
from bams3.crc32 import crc32
from bams3.errors import FormatError, SourceError


class StoredChunk(StoredStreams, Protocol):
    """The part of `ChunkReader` that row groups, and code that plans requests for them, need. See there.

    `numbers`, if not None, maps the reference ids that the chunk stores to those that its row groups return.
    """

    path: str
    numbers: dict[int, int] | None
    footer_spans: list[Span]

    @property
    def zones(self) -> list[ZoneMap]: ...

    @property
    def contigs(self) -> Sequence[int]: ...

    @property
    def row_groups(self) -> Any: ...

    @property
    def stored_row_groups(self) -> Any: ...

    def plan(self, groups: Sequence[RowGroup], *, cold: bool) -> list[Span]: ...

    def plan_streams(self, groups: Sequence[RowGroup], wanted: Callable[[str], bool]) -> list[Span]: ...


class RowGroup(Columns):
    """A row group of a chunk. Its zone map, `zone`, is known from the start; its columns are decoded on demand.

    `hot` and `cold` are the ranges of its streams. `spans` has the spans that were fetched, or will be.
    """

    def __init__(self, chunk: StoredChunk, number: int, zone: ZoneMap, hot: Range, cold: Range) -> None:
        self.chunk, self.number, self.zone = chunk, number, zone
        self.hot, self.cold = hot, cold
        self.name = f"{chunk.name}, row group {number}"
        self._stored = Streams(chunk, number, self.name, hot, cold)
        self.spans = self._stored.spans
        super().__init__(self._stored, zone.records, zone.bytes)

    @property
    def path(self) -> str:
        """The path of its chunk, as in the dataset's `index`."""
        return self.chunk.path

    @property
    def reference_id(self) -> int:  # type: ignore[override]
        """The reference id of every record; −1: no position."""
        stored, numbers = self.stored_reference_id, self.chunk.numbers
        return stored if numbers is None or stored < 0 else numbers[stored]

    @property
    def stored_reference_id(self) -> int:
        """The reference id in the dataset that the chunk was written for."""
        return self.chunk.footer.reference_id

    @property
    def next_ref(self) -> array[int]:
        """Reference id of RNEXT, array('i')."""
        stored = self.stored_next_ref
        return stored if self.chunk.numbers is None else self._renumbered(stored)

    def _renumbered(self, reference_ids: array[int]) -> array[int]:
        numbers = {-1: -1} | (self.chunk.numbers or {})
        try:
            return array("i", map(numbers.__getitem__, reference_ids))
        except KeyError as error:
            raise FormatError(
                f"{self.name}: a record mentions reference {error}, which the footer does not list; "
                "restore the chunk or convert it again"
            ) from None

    @property
    def entry(self) -> RowGroupEntry:
        """Its entry in the chunk's footer."""
        return self._stored.entry

    def read_with(self, name: str) -> Range:
        """The bytes that have to be read for a stream: its own, or those of all streams that share its checksum."""
        return self._stored.read_with(name)

    def load(self) -> None:
        """Fetch all streams, in two requests."""
        for place in (self.hot, self.cold):
            self._stored.have(*place)

    def block(self) -> Any:
        """Like `Columns.block`, but checked against the records' checksum."""
        block = self.stored_block()
        if self.chunk.numbers is None:
            return block
        from bams3.codec.records import renumbered

        return renumbered(block, self.reference_ids, self.next_ref)

    def stored_block(self) -> Any:
        """The records as they were encoded, even if `block` gives them other reference ids."""
        block, found = self.assembled
        self.check(found)
        return block

    def check(self, found: int) -> None:
        """Raise FormatError unless `found`, the CRC-32 of the decoded records, is that of the encoded ones."""
        if found != self.entry.crc32:
            raise FormatError(
                f"{self.name}: the records differ from those that were converted (checksum); "
                "restore the chunk or convert it again"
            )

    def valid_block(self, references: int) -> Any:
        """Like `block`, but raises FormatError unless the records are valid with a header of this many references."""
        self.load()
        try:
            return walk(self.block().data, references)[0]
        except SourceError as error:
            raise FormatError(f"{self.name}: invalid records: {error}") from error

    def text_values(self, tag: str) -> list[str]:
        """The distinct values of a tag of type Z, sorted, without ""."""
        name = f"tag.{tag}:Z"
        return text_values({each: self.stream(each) for each in (name, f"{name}.values")}, tag)

    def stored_streams(self) -> dict[str, tuple[str, memoryview, int]]:
        """The streams as stored: name → (codec, stored bytes, not copied, raw length). Raises FormatError."""
        self.load()
        stored = self._stored.stored()
        return {name: (entry.codec, stored[name], entry.raw) for name, entry in self.entry.streams.items()}


def records_checksum(block: Any) -> int:
    """CRC-32 of the records in BAM encoding."""
    return crc32(memoryview(block.data)[block.offsets[0] : block.offsets[-1]])
