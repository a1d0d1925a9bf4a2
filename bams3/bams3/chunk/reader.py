"""Reading a chunk: `ChunkReader` knows where everything is, `RowGroup` decodes columns on demand."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import (
    MAGIC,
    TRAILER,
    Footer,
    Identity,
    RowGroupEntry,
    trailer_length,
)
from bams3.chunk.spans import Range, Span, Streams
from bams3.codec import Columns, ZoneMap, text_values
from bams3.crc32 import crc32
from bams3.errors import FormatError
from bams3.storage import Storage
from bams3.storage.memory import MemoryObject
from bams3.storage.ranges import GAP, merge_ranges

TAIL = 1 << 16  # bytes read from the end of a chunk that the index does not describe
LEAST_GAP = 1 << 8  # bytes that are worth to be left out when a chunk on disk is read


class ChunkReader:
    """One chunk in a storage: `path`, `name` (for messages). Its footer is read on first use.

    `numbers`: if not None, maps the reference ids that the chunk stores to those that its row groups give.
    """

    numbers: dict[int, int] | None = None

    def __init__(
        self, storage: Storage | MemoryObject, path: str, *, size: int | None = None, footer_bytes: int = TAIL,
        footer_crc32: int | None = None, zones: list[ZoneMap] | None = None,
        identity: Identity | None = None, references: Sequence[tuple[str, int]] | None = None,
    ) -> None:  # fmt: skip
        """All but the first two parameters come from the dataset: they save requests, and the footer must match them.

        `zones`: the zone maps of its row groups; `references`: (name, length) of all by id.
        """
        self.path = path
        self.name = f"{storage.root.rstrip('/')}/{path}" if path else storage.root
        self._storage = storage
        self._size, self._footer_bytes, self._footer_crc32 = size, footer_bytes, footer_crc32
        self._zones = zones
        self._identity, self._references = identity, references
        self.footer_spans: list[Span] = []

    @property
    def again(self) -> Callable[[], ChunkReader]:
        """A picklable function that opens the chunk again in another process, without any data that was read."""
        known = (self._size, self._footer_bytes, self._footer_crc32, self._zones, self._identity)
        return partial(_reopened, self._storage.root, self.path, *known)

    @cached_property
    def size(self) -> int:
        """Length in bytes. Raises FormatError if the chunk is missing."""
        if self._size is not None:
            return self._size
        try:
            return self._storage.size(self.path)
        except FileNotFoundError:
            raise self._missing() from None

    @cached_property
    def footer(self) -> Footer:
        """The footer. Raises FormatError if the chunk is missing, damaged, or not the one that the index describes."""
        start, length = self._footer_range
        held = next((span for span in self.footer_spans if span.has(start, length)), None)
        tail = held.cut(start, length) if held else self.read(start, length)
        try:
            footer = self._parsed(tail)
        except FormatError:  # perhaps it was damaged in transfer
            footer = self._parsed(self.read(start, length))
        self.footer_spans.clear()
        return footer

    def entry(self, path: str, reference_id: int) -> ChunkEntry:
        """Its entry in the index of a dataset in which it has this path and reference id, from its footer."""
        footer = self.footer
        ending = self.size - len(MAGIC) - sum(zone.hot + zone.cold for zone in footer.zones)
        return ChunkEntry(
            path, reference_id, footer.start, footer.end, self.size, ending, self._found_crc32, footer.zones
        )

    def check_references(self, references: Sequence[tuple[str, int]]) -> None:
        """Raise FormatError unless the footer's references are those of the header, (name, length) by id."""
        if not self._are_of(self.footer, references):
            raise FormatError(
                f"{self.name}: its references differ from the header; restore it or convert it again"
            )

    @staticmethod
    def _are_of(footer: Footer, references: Sequence[tuple[str, int]]) -> bool:
        return all(
            reference < len(references) and references[reference] == (name, length)
            for reference, name, length in footer.references
        )

    @property
    def _footer_range(self) -> Range:
        length = min(self._footer_bytes, self.size)
        return self.size - length, length

    def _parsed(self, tail: bytes) -> Footer:
        wanted = trailer_length(tail, self.name) + TRAILER.size
        if len(tail) < wanted <= self.size:
            tail = self.read(self.size - wanted, wanted)
        self._found_crc32: int = TRAILER.unpack(tail[-TRAILER.size :])[1]
        if self._footer_crc32 not in (None, self._found_crc32):
            raise FormatError(
                f"{self.name}: not the chunk that the dataset's index describes; does it belong to another dataset?"
            )
        footer = Footer.from_bytes(tail, self.name)
        footer.check(self.size - wanted, self.name)
        self._compare(footer)
        return footer

    def _compare(self, footer: Footer) -> None:
        """Raise FormatError unless a footer agrees with the dataset."""
        if self._identity not in (None, footer.identity):
            what = "its header, window or level differs from the dataset's"
        elif self._references is not None and not self._are_of(footer, self._references):
            what = "its references differ from the dataset's"
        elif self._zones is not None and self._zones != footer.zones:
            what = "its row groups differ from those in the dataset's index"
        else:
            return
        raise FormatError(f"{self.name}: {what}; restore it or convert it again")

    @property
    def row_groups(self) -> Iterator[RowGroup]:
        """The row groups, in order."""
        zones = self._zones if self._zones is not None else self.footer.zones
        cold_at = len(MAGIC)
        hot_at = cold_at + sum(zone.cold for zone in zones)
        for number, zone in enumerate(zones):
            yield RowGroup(self, number, zone, (hot_at, zone.hot), (cold_at, zone.cold))
            hot_at, cold_at = hot_at + zone.hot, cold_at + zone.cold

    def plan(self, groups: Sequence[RowGroup], *, cold: bool) -> list[Span]:
        """The requests for the hot streams of some row groups (with `cold`, for all their streams) and for the footer.

        Nearby ranges are merged. Nothing is fetched yet; the row groups will take their bytes from the spans.
        """
        known = "footer" in self.__dict__ or self.footer_spans
        wanted = [] if known else [(self._footer_range, self.footer_spans)]
        for group in groups:
            wanted += [(place, group.spans) for place in ((group.hot, group.cold) if cold else (group.hot,))]
        return self._spans(wanted)

    def plan_streams(self, groups: Sequence[RowGroup], wanted: Callable[[str], bool]) -> list[Span]:
        """Like `plan`, the requests for streams, chosen by name, that no span of the row groups covers yet."""
        found: list[tuple[Range, list[Span]]] = []
        for group in groups:
            for name in group.entry.streams:
                if not wanted(name):
                    continue
                start, length = group.read_with(name)
                if not any(span.has(start, length) for span in group.spans):
                    found.append(((start, length), group.spans))
        return self._spans(found)

    def fetch_hot(self, groups: Sequence[RowGroup], without: Sequence[str]) -> None:
        """Fetch the hot streams of some row groups at once, but not those in `without` if they can be left out.

        The footer is read before, so this is for chunks on disk, which need no request.
        """
        wanted: list[tuple[Range, list[Span]]] = []
        for group in groups:
            at, end = group.hot[0], sum(group.hot)
            for name in without:
                entry = group.entry.streams.get(name)
                if entry is not None and entry.crc32 is not None:
                    wanted.append(((at, entry.offset - at), group.spans))
                    at = entry.offset + entry.stored
            wanted.append(((at, end - at), group.spans))
        spans = self._spans(wanted, gap=LEAST_GAP)
        for span, data in zip(spans, self._views([(span.start, span.length) for span in spans]), strict=True):
            span.fill(data)

    def _spans(self, wanted: Sequence[tuple[Range, list[Span]]], gap: int = GAP) -> list[Span]:
        """Merge ranges into spans, and append each span to the lists of the ranges it covers."""
        spans = []
        for run in merge_ranges([place for place, _ in wanted], gap):
            span = Span(self, run.start, run.end - run.start)
            spans.append(span)
            for member in run.members:
                if span not in wanted[member][1]:
                    wanted[member][1].append(span)
        return spans

    def read(self, start: int, length: int) -> bytes:
        """Read `length` bytes at offset `start`. Raises FormatError if the chunk is missing or too short."""
        return bytes(self.view(start, length))

    def view(self, start: int, length: int) -> memoryview:
        """Like `read`, without a copy."""
        return self._views([(start, length)])[0]

    def _views(self, ranges: Sequence[Range]) -> Sequence[memoryview]:
        try:
            found = self._storage.get_ranges(self.path, ranges)
        except FileNotFoundError:
            raise self._missing() from None
        for data, (start, length) in zip(found, ranges, strict=True):
            if len(data) != length:
                raise FormatError(
                    f"{self.name}: truncated, or of another dataset: {len(data)} bytes instead of {length} at {start}"
                )
        return found

    def _missing(self) -> FormatError:
        return FormatError(f"{self.name}: the chunk is missing; restore it or convert its window again")


class RowGroup(Columns):
    """A row group of a chunk: its zone map (`zone`) at once, its columns on demand.

    `hot`, `cold`: where its streams are. `spans`: those that were fetched, or will be.
    """

    def __init__(self, chunk: ChunkReader, number: int, zone: ZoneMap, hot: Range, cold: Range) -> None:
        self.chunk, self.number, self.zone = chunk, number, zone
        self.hot, self.cold = hot, cold
        self.name = f"{chunk.name}, row group {number}"
        self._stored = Streams(chunk, number, self.name, hot, cold)
        self.spans = self._stored.spans
        super().__init__(self._stored, zone.records, zone.bytes)

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
        if self.chunk.numbers is None:
            return super().next_ref
        return self._renumbered(self.stored_next_ref)

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
        """Which bytes have to be read for a stream: its own, or those that it shares a checksum with."""
        return self._stored.read_with(name)

    def load(self) -> None:
        """Fetch all streams, in two requests."""
        for place in (self.hot, self.cold):
            self._stored.have(*place)

    def block(self) -> Any:
        """Like `Columns.block`, and checked against the records' checksum."""
        block = self.stored_block()
        if self.chunk.numbers is None:
            return block
        from bams3.codec.records import renumbered

        return renumbered(block, self.reference_id, self.next_ref)

    def stored_block(self) -> Any:
        """The records as they were encoded, even if `block` gives them other reference ids."""
        block = super().block()
        if records_checksum(block) != self.entry.crc32:
            raise FormatError(
                f"{self.name}: the records differ from those that were converted (checksum); "
                "restore the chunk or convert it again"
            )
        return block

    def text_values(self, tag: str) -> list[str]:
        """The distinct values of a tag of type Z, sorted, without ""."""
        name = f"tag.{tag}:Z"
        return text_values({each: self.stream(each) for each in (name, f"{name}.values")}, tag)

    def stored_streams(self) -> dict[str, tuple[str, bytes, int]]:
        """The streams as stored: name → (codec, stored bytes, raw length). Raises FormatError."""
        self.load()
        return {
            name: (entry.codec, bytes(self._stored.bytes_of(name, entry)), entry.raw)
            for name, entry in self.entry.streams.items()
        }


def records_checksum(block: Any) -> int:
    """CRC-32 of the records in BAM encoding."""
    return crc32(memoryview(block.data)[block.offsets[0] : block.offsets[-1]])


def _reopened(
    root: str, path: str, size: int | None, footer_bytes: int, footer_crc32: int | None,
    zones: list[ZoneMap] | None, identity: Identity | None,
) -> ChunkReader:  # fmt: skip
    from bams3.storage import open_storage

    return ChunkReader(
        open_storage(root), path, size=size, footer_bytes=footer_bytes, footer_crc32=footer_crc32, zones=zones,
        identity=identity,
    )  # fmt: skip


def open_chunk(source: Any) -> ChunkReader:
    """Open a chunk without its dataset: at a path or URI, from standard input (`-`) or a pipe, from bytes, or from an
    open binary file. Raises FormatError, UsageError."""
    from bams3.storage import is_remote, memory, open_object

    if isinstance(source, bytes | bytearray | memoryview):
        return ChunkReader(memory.MemoryObject("chunk in memory", source), "")
    if hasattr(source, "read"):
        return ChunkReader(memory.of_file(source, str(getattr(source, "name", "chunk"))), "")
    if not is_remote(source) and memory.is_stream(str(source)):
        return ChunkReader(memory.read_stream(str(source)), "")
    return ChunkReader(*open_object(str(source)))
