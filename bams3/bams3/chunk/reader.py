"""Reading a chunk: `ChunkReader` knows where its row groups and streams are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import (
    MAGIC,
    TRAILER,
    Footer,
    Identity,
    trailer_length,
)
from bams3.chunk.row_group import RowGroup
from bams3.chunk.spans import Range, Span
from bams3.codec import ZoneMap
from bams3.errors import FormatError, UsageError
from bams3.storage import Storage
from bams3.storage.memory import MemoryObject
from bams3.storage.ranges import GAP, merge_ranges

if TYPE_CHECKING:
    from bams3.chunk.joined import SharedRowGroups

TAIL = 1 << 16  # bytes read from the end of a chunk that the index does not describe
LEAST_GAP = 1 << 8  # bytes; smaller gaps are not skipped when a chunk on disk is read


class ChunkReader:
    """One chunk in a storage, with its `path`, and its `name` for error messages. Its footer is read on first use.

    `numbers`, if not None, maps the reference ids that the chunk stores to those that its row groups return.
    """

    numbers: dict[int, int] | None = None

    def __init__(
        self, storage: Storage | MemoryObject, path: str, *, size: int | None = None, footer_bytes: int = TAIL,
        footer_crc32: int | None = None, zones: list[ZoneMap] | None = None,
        identity: Identity | None = None, references: Sequence[tuple[str, int]] | None = None,
        contigs: Sequence[int] = (), earlier: Sequence[str] = (), recheck: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """All but the first two parameters come from the dataset. They save requests; the footer must match them.

        `zones`: the zone maps of its row groups. `references`: (name, length) of all references, by id. `contigs`: if
        several contigs share the chunk, the reference id for each of `zones`. `earlier`: ids of headers that it may
        have been written with instead of that of the identity. `recheck`: called if the chunk is missing or a different
        one; it raises an error if the dataset has been replaced.
        """
        self.path = path
        self.name = f"{storage.root.rstrip('/')}/{path}" if path else storage.root
        self._storage = storage
        self._size, self._footer_bytes, self._footer_crc32 = size, footer_bytes, footer_crc32
        self._zones, self._contigs = zones, contigs
        self._identity, self._references, self._earlier = identity, references, earlier
        self._recheck = recheck
        self.footer_spans: list[Span] = []

    @property
    def again(self) -> Callable[[], ChunkReader]:
        """A picklable function that opens the chunk again in another process, without any data that was read."""
        known = (
            self._size,
            self._footer_bytes,
            self._footer_crc32,
            self._zones,
            self._identity,
            self._contigs,
            self._earlier,
        )
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
        except FormatError:  # it may have been damaged in transfer
            try:
                footer = self._parsed(self.read(start, length))
            except FormatError:
                self._recheck()
                raise
        self.footer_spans.clear()
        return footer

    @property
    def dataset(self) -> str:
        """The `header_id` in its footer. Nothing else in the footer is checked. Raises FormatError if the chunk is
        missing, or if its end is damaged."""
        return Footer.dataset_of(self._whole(self.read(*self._footer_range)), self.name)

    def entry(self, path: str, reference_id: int) -> ChunkEntry:
        """The chunk's index entry, made from its footer, for a dataset in which it has this path and reference id."""
        footer = self.footer
        ending = self.size - len(MAGIC) - sum(zone.hot + zone.cold for zone in footer.zones)
        return ChunkEntry(
            path, reference_id, footer.start, footer.end, self.size, ending, self._found_crc32, footer.zones,
            footer.contigs,
        )  # fmt: skip

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
        tail = self._whole(tail)
        wanted = trailer_length(tail, self.name) + TRAILER.size
        self._found_crc32: int = TRAILER.unpack(tail[-TRAILER.size :])[1]
        if self._footer_crc32 not in (None, self._found_crc32):
            raise FormatError(
                f"{self.name}: not the chunk that the dataset's index describes; does it belong to another dataset?"
            )
        footer = Footer.from_bytes(tail, self.name)
        footer.check(self.size - wanted, self.name)
        self._compare(footer)
        return footer

    def _whole(self, tail: bytes) -> bytes:
        """The end of the chunk with the whole footer; reads more of it if `tail` is too short."""
        wanted = trailer_length(tail, self.name) + TRAILER.size
        return self.read(self.size - wanted, wanted) if len(tail) < wanted <= self.size else tail

    def _compare(self, footer: Footer) -> None:
        """Raise FormatError unless a footer agrees with the dataset."""
        identity = footer.identity
        if self._identity and identity.dataset in self._earlier:
            identity = identity._replace(dataset=self._identity.dataset)
        if self._identity not in (None, identity):
            what = "its header, window or level differs from the dataset's"
        elif self._references is not None and not self._are_of(footer, self._references):
            what = "its references differ from the dataset's"
        elif self._zones is not None and (self._zones, [*self._contigs]) != (footer.zones, footer.contigs):
            what = "its row groups differ from those in the dataset's index"
        else:
            return
        raise FormatError(f"{self.name}: {what}; restore it or convert it again")

    @property
    def zones(self) -> list[ZoneMap]:
        """The zone maps of its row groups, in order; if contigs share it, one for each contig in each row group."""
        return self._zones if self._zones is not None else self.footer.zones

    @property
    def contigs(self) -> Sequence[int]:
        """The reference id for each of `zones` if contigs share the chunk; otherwise empty."""
        return self._contigs if self._zones is not None else self.footer.contigs

    @cached_property
    def shared_row_groups(self) -> SharedRowGroups:
        """The row groups of a chunk that contigs share."""
        from bams3.chunk.joined import SharedRowGroups

        return SharedRowGroups(self)

    @property
    def row_groups(self) -> Iterator[RowGroup]:
        """The row groups, in order, each with records of one contig."""
        return self.shared_row_groups.of_contigs() if self.contigs else self.stored_row_groups

    @property
    def stored_row_groups(self) -> Iterator[RowGroup]:
        """The row groups as they are stored, in order. If contigs share the chunk, each has records of several
        contigs."""
        if self.contigs:
            yield from self.shared_row_groups
            return
        cold_at = len(MAGIC)
        hot_at = cold_at + sum(zone.cold for zone in self.zones)
        for number, zone in enumerate(self.zones):
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
        """Like `plan`, but for streams whose names are `wanted`, and that no span of the row groups covers yet."""
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
        """Fetch the hot streams of some row groups at once, without those in `without` if they can be skipped.

        This reads the footer first, so it is meant for chunks on disk, where that takes no request.
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
        """Merge ranges into spans, and append each span to the lists of the ranges that it covers."""
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
                    f"{self.name}: truncated, or from another dataset: {len(data)} bytes instead of {length} at {start}"
                )
        return found

    def _missing(self) -> FormatError:
        self._recheck()
        return FormatError(f"{self.name}: the chunk is missing; restore it or convert its window again")


class ContigChunk(ChunkReader):
    """The records of one contig in a chunk that several contigs share."""

    def __init__(self, shared: ChunkReader, contig: int) -> None:
        """`contig`: a reference id as the chunk stores it."""
        self.shared, self.contig = shared, contig
        self.path, self.name = f"{shared.path}#{contig}", f"{shared.name}#{contig}"
        self.footer_spans = shared.footer_spans

    @property
    def again(self) -> Callable[[], ChunkReader]:
        """Like `ChunkReader.again`."""
        return partial(_again, self.shared.again, self.contig)

    @property
    def numbers(self) -> dict[int, int] | None:
        """Maps the reference ids that the chunk stores to those that its row groups return, if they differ."""
        return self.shared.numbers

    @numbers.setter
    def numbers(self, numbers: dict[int, int] | None) -> None:
        self.shared.numbers = numbers

    @property
    def footer(self) -> Footer:
        """The footer of the shared chunk."""
        return self.shared.footer

    @property
    def size(self) -> int:
        """Length of the shared chunk in bytes."""
        return self.shared.size

    @property
    def zones(self) -> list[ZoneMap]:
        """The zone maps of the contig's row groups, in order."""
        return [group.zone for group in self.row_groups]

    @property
    def contigs(self) -> list[int]:
        """The contig, for each of its row groups."""
        return [self.contig] * len(self.zones)

    @property
    def row_groups(self) -> Iterator[RowGroup]:
        """The row groups of the contig, in order."""
        return self.shared.shared_row_groups.of_contig(self.contig)

    stored_row_groups = row_groups

    def plan(self, groups: Sequence[RowGroup], *, cold: bool) -> list[Span]:
        """The requests to the shared chunk."""
        return self.shared.plan(groups, cold=cold)

    def plan_streams(self, groups: Sequence[RowGroup], wanted: Callable[[str], bool]) -> list[Span]:
        """Likewise."""
        return self.shared.plan_streams(groups, wanted)

    def fetch_hot(self, groups: Sequence[RowGroup], without: Sequence[str]) -> None:
        """Likewise."""
        self.shared.fetch_hot(groups, without)

    def _views(self, ranges: Sequence[Range]) -> Sequence[memoryview]:
        return self.shared._views(ranges)


def _again(shared: Callable[[], ChunkReader], contig: int) -> ContigChunk:
    return ContigChunk(shared(), contig)


def _reopened(
    root: str, path: str, size: int | None, footer_bytes: int, footer_crc32: int | None,
    zones: list[ZoneMap] | None, identity: Identity | None, contigs: Sequence[int], earlier: Sequence[str],
) -> ChunkReader:  # fmt: skip
    from bams3.storage import open_storage

    return ChunkReader(
        open_storage(root), path, size=size, footer_bytes=footer_bytes, footer_crc32=footer_crc32, zones=zones,
        identity=identity, contigs=contigs, earlier=earlier,
    )  # fmt: skip


def open_chunk(source: Any) -> ChunkReader:
    """Open a chunk without its dataset. `source` is a path or URI, standard input (`-`) or a pipe, bytes, or an open
    binary file. Raises FormatError and UsageError."""
    from bams3.storage import is_remote, memory, open_object, uri_of

    if isinstance(source, bytes | bytearray | memoryview):
        return ChunkReader(memory.MemoryObject("chunk in memory", source), "")
    if hasattr(source, "read"):
        return ChunkReader(memory.of_file(source, str(getattr(source, "name", "chunk"))), "")
    source = uri_of(source)
    if not is_remote(source) and memory.is_stream(source):
        return ChunkReader(memory.read_stream(source), "")
    path, contig = contig_in(source)
    if not is_remote(path) and os.path.isdir(path.removeprefix("file://")):
        raise UsageError(f"{path}: a folder, not a chunk; `bams3 chunks` lists the chunks of a dataset")
    chunk = ChunkReader(*open_object(path))
    if contig is None:
        return chunk
    return ContigChunk(chunk, contig)


def contig_in(path: str) -> tuple[str, int | None]:
    """Split `PATH.chunk#ID` into the path or URI of a chunk, and the reference id of one of its contigs, or None."""
    chunk, _, number = path.rpartition("#")
    if chunk.endswith(".chunk") and len(number) <= 10 and number.isascii() and number.isdigit():
        return chunk, int(number)
    return path, None
