"""Reading of a dataset: its manifest, header and index, and the row groups that overlap a region."""

import zlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import Identity
from bams3.chunk.reader import ChunkReader, contig_in
from bams3.chunk.row_group import RowGroup
from bams3.dataset import layout
from bams3.dataset.absent import check_current, why_no_dataset
from bams3.dataset.generations import path_in
from bams3.dataset.index import index_from_bytes
from bams3.dataset.joined import ByReference, by_contig, with_shared
from bams3.dataset.layout import Grid
from bams3.dataset.manifest import Counts, Manifest, header_id, is_joined
from bams3.dataset.packing import header_path, header_text, longest_header
from bams3.dataset.prefetch import Job, Plan, fetched, plan_hot
from bams3.dataset.tiles import Tiles, tiles_from_bytes
from bams3.errors import DatasetError, FormatError
from bams3.storage import is_remote, open_storage
from bams3.untrusted import frame_length

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bams3.dataset.cache import Cache


SHARED_CHUNKS = 8  # number of chunks that contigs share whose footers are kept


class DatasetReader:
    """A committed dataset.

    `uri`: path or URI for display, without secrets. `manifest`, `stored_manifest`: the manifest, and its stored bytes.
    `remote`: whether the dataset is remote, for example in an object store. `is_whole`: whether this is a dataset (or
    was restricted from one), rather than loose chunks.
    """

    is_whole = True

    def __init__(self, uri: Any, *, prefetch: Sequence[str] = (layout.INDEX,)) -> None:
        """Open a dataset. Only its manifest is read and, if it is local, its header.

        `prefetch`: other documents (INDEX, HEADER) that are fetched at the same time if the dataset is remote. Raises
        DatasetError if there is no dataset, and FormatError if it is damaged.
        """
        given = str(uri).rstrip("/")
        self.storage = open_storage(given)
        self.remote = is_remote(given)
        self.uri = self.storage.root if self.remote else given
        self._cache: Cache | None = None
        self._shared: dict[str, ChunkReader] = {}
        self._early: dict[str, Future[bytes]] = {}
        if self.remote:
            self._begin(prefetch)
        try:
            self.manifest = self._read_manifest()
            if (
                self._early and self.manifest.generation
            ):  # the documents have other paths than those that were requested
                self._begin(prefetch, self.manifest.generation)
            if not self.remote:  # the references are checked, too, if that takes no request
                _ = self.header
        except BaseException:
            for future in self._early.values():
                future.cancel()
            raise

    def _begin(self, prefetch: Sequence[str], generation: str = "") -> None:
        """Request the documents that will be needed, unless they may be cached."""
        from bams3.dataset.cache import Cache
        from bams3.storage.ranges import pool

        self._cache = Cache.of(self.storage.root)
        if not (self._cache and self._cache.knows):
            paths = [path_in(path, generation) for path in prefetch]
            self._early = {path: pool().submit(self.storage.get, path) for path in paths}

    def _read_manifest(self) -> Manifest:
        try:
            self.stored_manifest = self.storage.get(layout.METADATA)
            try:
                return Manifest.from_bytes(self.stored_manifest, self.uri)
            except FormatError:
                if not self.remote:
                    raise
                self.stored_manifest = self.storage.get(layout.METADATA)
                return Manifest.from_bytes(self.stored_manifest, self.uri)
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError(f"{self.uri}: {why_no_dataset(self.storage)}") from None

    def _document(
        self, path: str, length: int, crc32: int, most: int, opened: Callable[[bytes], bytes] = bytes
    ) -> bytes:
        """Return the index, or the text of the header.

        `length`, `crc32`: its length and checksum, from the manifest. `most`: the greatest length of its stored form.
        `opened`: a function that makes it from its stored form.
        """

        def right(stored: bytes) -> bytes | None:
            with suppress(ValueError):
                data = opened(stored)
                if (len(data), zlib.crc32(data)) == (length, crc32):
                    return data
            return None

        kept = self._cache.get(length, crc32) if self._cache else None
        if kept is not None:
            return kept
        early = self._early.pop(path, None)
        try:
            if early:
                data = right(early.result())
            elif self.remote:
                data = right(self.storage.get(path))
            else:
                data = right(self.storage.get_range(path, 0, most + 1))
            if self.remote and data is None:  # damaged in transfer
                data = right(self.storage.get(path))
        except FileNotFoundError:
            self.check_current()
            raise FormatError(f"{self.uri}: {path} is missing; restore it or convert again") from None
        if data is None:
            self.check_current()
            raise FormatError(
                f"{self.uri}: {path} is damaged, or belongs to another dataset; restore it or convert again"
            )
        if self._cache:
            self._cache.put(data)
        return data

    def check_current(self) -> None:
        """Raise DatasetError if the dataset was replaced or appended to after it was opened."""
        check_current(self.storage, self.uri, self.manifest)

    @cached_property
    def references(self) -> list[tuple[str, int]]:
        """(name, length in bp) of every contig, by reference id."""
        return [(name, length) for name, length in self.manifest.references]

    @cached_property
    def header(self) -> Any:
        """The `bam.header.Header` of the BAM. Raises FormatError unless text and references are the original ones."""
        from bams3.bam.header import Header

        length, version = self.manifest.header_bytes, self.manifest.version
        text = self._document(
            self.header_path, length, self.manifest.header_crc32, longest_header(length),
            lambda stored: header_text(stored, version),
        )  # fmt: skip
        header = Header(text, tuple(self.references))
        if not self.manifest.partial_header and header_id(header) != self.manifest.header_id:
            raise FormatError(
                f"{self.uri}: {self.header_path} and the references in {layout.METADATA} do not match the dataset's "
                "header (header_id); restore them or convert again"
            )
        return header

    @property
    def header_path(self) -> str:
        """Path of the header in the dataset."""
        return header_path(self.manifest.version, self.manifest.generation)

    @property
    def index_path(self) -> str:
        """Path of the chunk index in the dataset."""
        return path_in(layout.INDEX, self.manifest.generation)

    @property
    def counts(self) -> Counts:
        """The numbers of records by FLAG and by reference."""
        return self.manifest.counts

    def opening(self, header: bool) -> list[int]:
        """Return the number of bytes of each request that opens the dataset, including the header's if it is needed."""
        found = [len(self.stored_manifest), self.manifest.index_bytes]
        found += [self.storage.size(self.header_path)] if header else []
        in_vain = [0] * (len(found) - 1) if self.manifest.generation else []  # see `__init__`
        return found + in_vain

    def foreign(self) -> list[str]:
        """Return the paths below `data/` that are not in the index."""
        known = {entry.path for entry in self.objects}
        return [path for path in self.storage.list(layout.DATA) if path not in known]

    @cached_property
    def objects(self) -> list[ChunkEntry]:
        """The entries of the stored chunks, in BAM order. Contigs may share a chunk."""
        length = self.manifest.index_bytes
        data = self._document(self.index_path, length, self.manifest.index_crc32, length)
        entries = index_from_bytes(data, self.manifest, self.uri)
        self._stored_tiles = data[frame_length(data) :]
        return entries

    @cached_property
    def tiles(self) -> Tiles | None:
        """The tiles of the row groups, in the order of `objects`; None if the index lacks them. Raises FormatError."""
        entries = self.objects
        return tiles_from_bytes(self._stored_tiles, entries, self.uri)

    def tiles_of(self, group: RowGroup) -> Sequence[int] | None:
        """Return the list of tiles of a stored row group; None if the index does not have it. Raises FormatError."""
        return self.tiles.of(group.chunk.path, group.number) if self.tiles else None

    @cached_property
    def index(self) -> list[ChunkEntry]:
        """The entries of all chunks in BAM order, with one entry for each contig that shares a chunk."""
        if not is_joined(self.manifest.version):
            return self.objects
        return [entry for stored in self.objects for entry in by_contig(stored)]

    @cached_property
    def whole(self) -> Sequence[ChunkEntry]:
        """Like `index`, but a chunk that contigs share has only its stored entry, if all of them are in `index`."""
        return self.objects

    @cached_property
    def _by_path(self) -> dict[str, ChunkEntry]:
        return {entry.path: entry for entry in self.objects}

    @cached_property
    def _by_reference(self) -> ByReference:
        return ByReference(self.objects)

    def chunk(self, entry: ChunkEntry) -> ChunkReader:
        """Return the chunk that an index entry describes."""
        path, contig = contig_in(entry.path) if is_joined(self.manifest.version) else (entry.path, None)
        if contig is None:
            return self.stored_chunk(entry)
        from bams3.chunk.reader import ContigChunk

        shared = self._shared.pop(path, None) or self.stored_chunk(self._by_path[path])
        self._shared[path] = shared
        if len(self._shared) > SHARED_CHUNKS:
            self._shared.pop(next(iter(self._shared)), None)
        return ContigChunk(shared, contig)

    def stored_chunk(self, entry: ChunkEntry) -> ChunkReader:
        """Return the chunk that an entry of `objects` describes."""
        return ChunkReader(
            self.storage, entry.path, size=entry.size, footer_bytes=entry.footer_bytes,
            footer_crc32=entry.footer_crc32, zones=entry.zones, references=self.references,
            identity=Identity(
                self.manifest.header_id, entry.reference_id, entry.start, entry.end, self.manifest.level
            ),
            contigs=entry.contigs, earlier=self.manifest.earlier_header_ids, recheck=self.check_current,
        )  # fmt: skip

    def chunks_of(self, reference_id: int) -> list[ChunkEntry]:
        """Return the entries of the chunks of a reference (−1: reads without a position), in order."""
        return self._by_reference.of(reference_id)

    @property
    def grid(self) -> Grid:
        """All windows of the dataset."""
        return Grid(self.references, self.manifest.chunk_size, joins=is_joined(self.manifest.version))

    def windows(self, number: int, of: int) -> Grid:
        """Return the `number`-th (from 1) of `of` runs of consecutive windows, which are about equal in bytes."""
        grid = self.grid
        sizes: Counter[int] = Counter()
        for entry in self.index:
            place = grid.index_of(*entry.window)
            if place is not None:
                sizes[place] += entry.size
        windows: Grid = layout.batch(grid, sizes, number, of)  # type: ignore[assignment]
        return windows

    def batch(self, number: int, of: int) -> "DatasetReader":
        """Return the dataset, restricted to the chunks of `windows(number, of)`.

        Every read is in exactly one batch: that of the window in which it starts.
        """
        chosen = self.windows(number, of)
        return self.only(entry for entry in self.index if chosen.index_of(*entry.window) is not None)

    def only(self, entries: Iterable[ChunkEntry]) -> "DatasetReader":
        """Return the dataset, restricted to these chunks, which must be in the order of the index."""
        from copy import copy

        part = copy(self)
        part.index = list(entries)
        part.whole = list(with_shared(part.index, self._by_path))
        part._by_reference = ByReference(part.index)
        return part

    @property
    def name(self) -> str:
        """The last component of the path or URI, without `.bams3`; by convention, the sample's name."""
        return self.uri.rpartition("/")[2].removesuffix(".bams3")

    def chunk_uri(self, entry: ChunkEntry) -> str:
        """Return the path or URI of a chunk, which can also be read without the dataset."""
        return f"{self.uri}/{entry.path}"

    def region(self, entry: ChunkEntry) -> str:
        """Return a chunk's window as a region string (1-based, closed); `_unplaced` for reads without a position."""
        from bams3.bam.regions import UNPLACED_NAME

        if entry.reference_id == layout.UNPLACED:
            return UNPLACED_NAME
        name, length = self.references[entry.reference_id]
        braced = f"{{{name}}}" if set(name) & set(":,{}*-") else name
        return f"{braced}:{entry.start + 1}-{max(min(entry.end, length), entry.start + 1)}"

    def row_groups(
        self, reference_id: int, start: int, end: int, borders: Sequence[Sequence[int]] = ()
    ) -> Iterator[RowGroup]:
        """Yield the row groups with reads that may overlap [start, end), 0-based, in order.

        They are found by their zone maps, so row groups of earlier windows that reach into the interval are included.
        If one of the positions in `borders` (ascending sequences) lies within a window, the zone maps of its chunk are
        first checked against the footer, unless that takes a request. For other windows, the grid is enough of a check.
        """
        for entry in self.chunks_of(reference_id):
            cut = not self.remote and any(
                bisect_right(border, entry.start) < bisect_left(border, entry.end) for border in borders
            )
            if cut or (entry.min_pos < end and entry.max_end > start):
                chunk = self.chunk(entry)
                if cut:
                    _ = chunk.footer
                for group in chunk.row_groups:
                    if group.zone.min_pos < end and group.zone.max_end > start:
                        yield group

    def all_row_groups(self) -> Iterator[RowGroup]:
        """Yield all row groups, in order. Those that contigs share come once if all these contigs are in `index`."""
        for entry in self.whole:
            yield from self.chunk(entry).stored_row_groups

    def depth_row_groups(self, reference_id: int, start: int, end: int) -> Iterator[RowGroup]:
        """Yield all row groups from the first to the last one with reads that may overlap [start, end), 0-based.

        Row groups in between may have no reads there, but may hold mates, which are needed to find overlaps of mates.
        """
        return (
            group
            for (group,) in self.fetched(zip(self._from_first_to_last(reference_id, start, end)), plan_hot)
        )

    def _from_first_to_last(self, reference_id: int, start: int, end: int) -> Iterator[RowGroup]:
        waiting: list[RowGroup] = []
        found = False
        for entry in self.chunks_of(reference_id):
            if entry.min_pos >= end:
                break
            for group in self.chunk(entry).row_groups if found or entry.max_end > start else ():
                found = found or (group.zone.min_pos < end and group.zone.max_end > start)
                if found:
                    waiting.append(group)
                if group.zone.min_pos < end and group.zone.max_end > start:
                    yield from waiting
                    waiting.clear()

    def contigs_row_groups(
        self, reference_ids: Sequence[int], without: Sequence[str] = ()
    ) -> Iterator[Iterator[RowGroup]]:
        """Yield, for each reference in order, an iterator of all its row groups.

        One request fetches the hot streams of a chunk. The row groups of a reference must be consumed before those of
        the next one. `without`: hot streams that will not be needed; if the dataset is local, they are not read.
        """
        chosen = [self.chunks_of(reference_id) for reference_id in reference_ids]
        jobs = self.fetched(self._hot_jobs(chain.from_iterable(chosen), without), plan_hot)
        groups = (group for (group,) in jobs)
        for entries in chosen:
            yield islice(groups, sum(len(entry.row_groups) for entry in entries))

    def _hot_jobs(self, entries: Iterable[ChunkEntry], without: Sequence[str]) -> Iterator[tuple[RowGroup]]:
        for entry in entries:
            chunk = self.chunk(entry)
            groups = list(chunk.row_groups)
            # A row group that contigs share may have been read for another contig.
            unread = [] if self.remote else [group for group in groups if not group.spans]
            if unread and without:
                chunk.fetch_hot(unread, without)
            elif unread:
                chunk.plan(unread, cold=False)
            yield from zip(groups)

    def fetched(self, jobs: Iterable[Job], plan: Plan[Job]) -> Iterator[Job]:
        """Yield jobs (tuples that begin with a row group) in order. If the dataset is remote, they are prefetched."""
        if not self.remote:
            return iter(jobs)
        return fetched(jobs, plan)

    def unplaced_row_groups(self) -> Iterator[RowGroup]:
        """Yield the row groups of the reads without a position, in order."""
        for entry in self.chunks_of(layout.UNPLACED):
            yield from self.chunk(entry).row_groups
