"""Loose chunks: chunks that are read without their dataset, as a part of it.

All information comes from the footers of the chunks. A dataset is recognised by its `header_id`, so chunks can be
copied anywhere, renamed, and sent through pipes.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import attrgetter

from bams3.bam.header import Header
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.header import joined
from bams3.chunk.reader import TAIL, ChunkReader, ContigChunk
from bams3.dataset import layout
from bams3.dataset.index import check_chunk
from bams3.dataset.joined import ByReference, by_contig, with_shared
from bams3.dataset.manifest import Counts, Manifest, header_id
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError, SourceError, UsageError
from bams3.storage import is_remote


class LooseChunks(DatasetReader):
    """Some chunks of one dataset, read without it; they behave like the result of `DatasetReader.only`.

    If one of the chunks has the whole header, the header and the reference ids are those of the dataset. Otherwise,
    only the contigs that the records of the chunks mention are known, and they are numbered from 0.
    """

    is_whole = False

    def __init__(self, chunks: Sequence[ChunkReader]) -> None:
        """Open chunks.

        Raises FormatError if a chunk is damaged, and UsageError unless they are different chunks of the same dataset.
        """
        first = chunks[0]
        self.uri = first.name
        self.remote = any(is_remote(chunk.name) for chunk in chunks)
        self._check(chunks)
        whole = self._whole_header(chunks)
        if whole is None:
            self._renumber(chunks)
        else:
            self.header = whole
            for chunk in chunks:
                chunk.check_references(whole.references)
        entries = []
        self._chunks: dict[str, ChunkReader] = {}
        self._stored: dict[str, tuple[ChunkEntry, ChunkReader]] = {}
        for chunk in chunks:
            for entry, part in self._entries(chunk):
                if entry.path in self._chunks:
                    raise UsageError(
                        f"{chunk.name}: the same window as {self._chunks[entry.path].name}; "
                        "give each chunk once, and only chunks of one dataset"
                    )
                self._chunks[entry.path] = part
                entries.append(entry)
        self.index = sorted(entries, key=attrgetter("order"))
        self.whole = list(with_shared(self.index, {path: entry for path, (entry, _) in self._stored.items()}))
        self._by_reference = ByReference(self.index)
        self.manifest = self._manifest()

    def _check(self, chunks: Sequence[ChunkReader]) -> None:
        """Check that the chunks are from the same dataset, and set its window size."""
        first = chunks[0]
        sizes = {}
        for chunk in chunks:
            footer = chunk.footer
            if footer.dataset != first.footer.dataset and not self._lie_together(first, chunk):
                raise UsageError(
                    f"{chunk.name}: not from the same dataset as {first.name} (their headers differ); "
                    "give only chunks of one dataset"
                )
            if footer.reference_id != layout.UNPLACED:
                sizes[footer.end - footer.start] = chunk.name
        if len(sizes) > 1:
            raise UsageError(
                f"{' and '.join(sizes.values())}: chunks of different sizes; give only chunks of one dataset"
            )
        self._chunk_size = next(iter(sizes), layout.DEFAULT_CHUNK_SIZE)

    @staticmethod
    def _lie_together(*chunks: ChunkReader) -> bool:
        """Tell whether the paths of chunks are in the same dataset."""
        roots = {chunk.name.rpartition(f"/{layout.DATA}/")[0] for chunk in chunks}
        return len(roots) == 1 and roots != {""}

    @staticmethod
    def _whole_header(chunks: Sequence[ChunkReader]) -> Header | None:
        if len({chunk.footer.dataset for chunk in chunks}) > 1:
            return None
        for text, chunk in {chunk.footer.header_text: chunk for chunk in chunks}.items():
            try:
                header = Header.from_text(text)
            except SourceError:
                continue
            if header_id(header) == chunk.footer.dataset:
                return header
        return None

    def _renumber(self, chunks: Sequence[ChunkReader]) -> None:
        """Number the references that the chunks mention from 0, and build a header from the lines in the chunks."""
        known: dict[int, tuple[str, int]] = {}
        for chunk in chunks:
            for reference, name, length in chunk.footer.references:
                if known.setdefault(reference, (name, length)) != (name, length):
                    raise FormatError(
                        f"{chunk.name}: its reference {reference} is not the one in the other chunks; "
                        "give only chunks of one dataset"
                    )
        numbers = {reference: number for number, reference in enumerate(sorted(known))}
        if any(number != reference for reference, number in numbers.items()):
            for chunk in chunks:
                chunk.numbers = numbers
        self.header = joined(
            (chunk.footer.header_text for chunk in chunks),
            (known[reference] for reference in numbers),
        )

    def _entries(self, chunk: ChunkReader) -> Iterator[tuple[ChunkEntry, ChunkReader]]:
        """Yield the entry of a chunk, or one for each contig that shares the chunk, and the reader for it."""
        footer = chunk.footer
        if not footer.contigs:
            entry = self._entry(chunk)
            self._stored[entry.path] = entry, chunk
            yield entry, chunk
            return
        _ = chunk.zones  # raises FormatError if a contig was requested that the chunk does not have
        shared, only = (chunk.shared, chunk.contig) if isinstance(chunk, ContigChunk) else (chunk, None)
        path = layout.joined_path(footer.reference_id, footer.contigs[-1] + 1)
        whole = shared.entry(path, footer.reference_id)
        self._stored[path] = whole, shared
        for entry in by_contig(whole):
            stored = entry.reference_id
            if only in (None, stored):
                number = stored if shared.numbers is None else shared.numbers[stored]
                yield entry._replace(reference_id=number), ContigChunk(shared, stored)

    def _entry(self, chunk: ChunkReader) -> ChunkEntry:
        footer = chunk.footer
        reference_id = footer.reference_id
        if reference_id == layout.UNPLACED:
            path = layout.unplaced_path(footer.start)
        else:
            reference_id = reference_id if chunk.numbers is None else chunk.numbers[reference_id]
            path = layout.chunk_path(self.header.references[reference_id][0], footer.start, footer.end)
        entry = chunk.entry(path, reference_id)
        try:
            check_chunk(entry, self.header.references, self._chunk_size, None)
        except ValueError as error:
            raise FormatError(f"{chunk.name}: {error}; restore it or convert it again") from None
        return entry

    @cached_property
    def references(self) -> list[tuple[str, int]]:
        """(name, length in bp) of every known contig, by reference id."""
        return list(self.header.references)

    def _manifest(self) -> Manifest:
        """Return a manifest for these chunks.

        It has no counts by FLAG, because records must be read for them (`counts`).
        """
        footer = self._chunks[self.index[0].path].footer
        return Manifest(
            footer.dataset, [list(reference) for reference in self.references], self._chunk_size, footer.level,
            sum(entry.records for entry in self.index), len(self.index), sum(entry.size for entry in self.index),
            len(self.header.text), 0, 0, 0, Counts.zero(), footer.encodings,
            partial_header=header_id(self.header) != footer.dataset,
        )  # fmt: skip

    @property
    def counts(self) -> Counts:
        """The counts of the records. Their first use reads all records."""
        return self._counted

    @cached_property
    def _counted(self) -> Counts:
        total = Counts.zero()
        for entry in self.index:
            total.add(Counts.of_chunk(self.chunk(entry)))
        return total

    def opening(self, header: bool) -> list[int]:
        """Return the number of bytes of each request that opens the chunks."""
        return [min(TAIL, entry.size) for entry in self.index]

    def chunk(self, entry: ChunkEntry) -> ChunkReader:
        """Return the chunk that an index entry describes."""
        return self._chunks[entry.path] if entry.path in self._chunks else self.stored_chunk(entry)

    @property
    def objects(self) -> list[ChunkEntry]:
        """The chunks as they are stored, in BAM order."""
        return sorted((entry for entry, _ in self._stored.values()), key=attrgetter("order"))

    @property
    def tiles(self) -> None:
        """None, because tiles are stored only in the index of a dataset."""

    def stored_chunk(self, entry: ChunkEntry) -> ChunkReader:
        """Return the chunk that an entry of `objects` describes."""
        return self._stored[entry.path][1]

    def chunk_uri(self, entry: ChunkEntry) -> str:
        """Return the path or URI that was given for the chunk."""
        return self._chunks[entry.path].name

    def foreign(self) -> list[str]:
        """Return an empty list, because other files are not known."""
        return []

    @property
    def name(self) -> str:
        """The name of the dataset if the first chunk is in one, otherwise the name of the chunk, without the suffix."""
        dataset, data, _ = self.uri.rpartition(f"/{layout.DATA}/")
        given = dataset if data else self.uri.removesuffix(".chunk")
        return given.rpartition("/")[2].removesuffix(".bams3")
