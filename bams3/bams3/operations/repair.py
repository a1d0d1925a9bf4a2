"""Repair of a dataset: the index, the manifest and the header are rebuilt from the chunks."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from operator import attrgetter
from typing import Any, NamedTuple

from bams3.bam.header import Header
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.footer import MAGIC, MAGICS, check_version
from bams3.chunk.header import joined
from bams3.chunk.reader import ChunkReader
from bams3.codec import ENCODINGS
from bams3.dataset import layout
from bams3.dataset.commit import put_manifest
from bams3.dataset.destination import check_no_links
from bams3.dataset.generations import growing, is_document, path_in, split_path
from bams3.dataset.hashed_paths import is_hashed
from bams3.dataset.hashes import hash_of
from bams3.dataset.index import check_chunks, index_to_bytes
from bams3.dataset.manifest import (
    HASHED,
    HASHED_PATHS,
    IN_GENERATIONS,
    JOINED,
    VERSION,
    Counts,
    Manifest,
    header_id,
    sha256_of,
)
from bams3.dataset.packing import header_path, header_text, stored_header
from bams3.dataset.sums import Sums
from bams3.errors import DatasetError, FormatError, SourceError
from bams3.operations.reread import tallied
from bams3.parallel.workers import Workers
from bams3.storage import Storage, open_storage, uri_of

MOST_REFERENCES = 1 << 24
"""Limit for reference ids. A chunk that mentions a larger one is not repaired, because the manifest lists all ids."""


class Repaired(NamedTuple):
    """The result of a repair.

    `rebuilt`: paths of the documents that were written. `unknown`: what could not be determined from the chunks, one
    sentence each.
    """

    manifest: Manifest
    rebuilt: list[str]
    unknown: list[str]


def repair(
    dataset: Any, *, header: Any = None, workers: int = 1, progress: Callable[[int], Any] | None = None
) -> Repaired:
    """Rebuild the index, the manifest and the header of a dataset from its chunks, if they are missing or damaged.

    Every record is read, checked and counted. Nothing is deleted, and nothing is written unless the chunks belong
    together. Documents that are intact are kept, and the rest is checked against them.

    Parameters
    ----------
    dataset
        Path or URI of the dataset.
    header
        Path of a SAM or BAM file that has the dataset's header, in case the chunks do not have all of it.
    workers
        Number of threads.
    progress
        Called with the number of records read since the last call.

    Raises
    ------
    DatasetError, FormatError
        If there are no chunks, if they are damaged or from several datasets, if a chunk is missing, if the conversion
            has not been completed, if a newer version of bams3 wrote the dataset, or if there are symbolic links.
    """
    storage = open_storage(uri_of(dataset))
    if storage.exists(layout.PLAN):
        raise DatasetError(
            f"{storage.root}: its conversion was interrupted; finish it with bams3 convert --resume, or bams3 merge"
        )
    check_no_links(storage)
    sizes = storage.sizes()
    intact = _manifest_of(storage) if layout.METADATA in sizes else None
    generation = _generation(sizes, intact)
    chunks = list(_chunks(storage, _finished(sizes, intact)))
    if not chunks:
        raise DatasetError(
            f"{storage.root}: there are no chunks in {layout.DATA}/; give the dataset's directory"
        )
    _check_together(chunks, intact)
    header_at = path_in(layout.HEADER, generation)
    found, unknown = _header(storage, chunks, intact, header, header_at)
    references = [list(reference) for reference in found.references]
    for chunk in chunks:
        chunk.check_references(found.references)
    entries = sorted(
        (chunk.entry(chunk.path, chunk.footer.reference_id) for chunk in chunks), key=attrgetter("order")
    )
    size = _chunk_size(chunks)
    version = _version(entries, generation, intact)
    hashed = version >= HASHED
    entries, counts, sums = _read(
        storage, entries, {chunk.path: chunk for chunk in chunks}, workers, progress, hashed=hashed
    )
    index = index_to_bytes(entries)
    if intact and len(index) != intact.index_bytes:  # an earlier version wrote it, without tiles
        index = index_to_bytes([entry._replace(tiles=()) for entry in entries])
    first = chunks[0].footer
    manifest = Manifest(
        first.dataset, references, size, first.level, sum(entry.records for entry in entries), len(entries),
        sum(entry.size for entry in entries), len(found.text), zlib.crc32(found.text), len(index), zlib.crc32(index),
        counts, dict(ENCODINGS), partial_header=header_id(found) != _header_id(chunks, intact), sums=sums,
        generation=generation, version=version,
    )  # fmt: skip
    if hashed:
        manifest = manifest._replace(header_sha256=sha256_of(found.text), index_sha256=sha256_of(index))
    if intact is not None:
        manifest = _confirmed(storage, intact, manifest)
    else:
        try:
            check_chunks(entries, counts, references, size, manifest.joined, version)
        except ValueError as error:
            # Which contigs share windows depends on the lengths of all of them.
            advice = "give the header with --header" if unknown and any(e.contigs for e in entries) else ""
            raise DatasetError(f"{storage.root}: {error}; {advice or 'restore what is missing'}") from None
        unknown += [
            "whether there were more chunks: compare the number of records with that of the source",
            "whether the source had its end-of-file marker",
            "whether the conversion was lossy: an @PG line of the header says so",
        ]
    stored = stored_header(found.text, manifest.version)
    return Repaired(manifest, _written(storage, stored, index, manifest), unknown)


def _confirmed(storage: Storage, intact: Manifest, rebuilt: Manifest) -> Manifest:
    """Return the intact manifest, with the header that was found.

    Raises DatasetError unless it matches the rebuilt one.
    """
    _check_vouched(storage, intact, rebuilt)
    return intact._replace(
        header_bytes=rebuilt.header_bytes, header_crc32=rebuilt.header_crc32,
        partial_header=rebuilt.partial_header, header_sha256=rebuilt.header_sha256,
    )  # fmt: skip


def _manifest_of(storage: Storage) -> Manifest | None:
    """Return the manifest, if it is intact. Raises DatasetError if it is of a newer version."""
    try:
        return Manifest.from_bytes(storage.get(layout.METADATA), storage.root)
    except FormatError as error:
        if isinstance(error.__cause__, FormatError):  # it has a version or an encoding that is not known
            raise DatasetError(f"{error}, or remove {layout.METADATA} if it is damaged") from None
        return None


def _generation(sizes: dict[str, int], intact: Manifest | None) -> str:
    """Return the generation of the header and the index, from the manifest or else from the paths."""
    if intact:
        return intact.generation
    documents = [split_path(path)[1] for path in sizes if is_document(path)]
    return max(documents or [split_path(path)[1] for path in sizes], default="")


def _version(entries: Iterable[ChunkEntry], generation: str, intact: Manifest | None) -> int:
    """Return the version of the format, from the manifest or else from the chunks."""
    if intact:
        return intact.version
    if any(is_hashed(split_path(entry.path)[0]) for entry in entries):
        return HASHED_PATHS
    if generation:
        return IN_GENERATIONS
    return JOINED if any(entry.contigs for entry in entries) else VERSION


def _finished(sizes: dict[str, int], intact: Manifest | None) -> dict[str, int]:
    """Return the objects without those of incomplete appends, if there is a manifest to tell them apart."""
    unfinished = {growing(path) for path in sizes} - {"", intact.generation} if intact else set()
    return {path: size for path, size in sizes.items() if split_path(path)[1] not in unfinished}


def _chunks(storage: Storage, sizes: dict[str, int]) -> Iterator[ChunkReader]:
    """Yield the chunks below `data/`; other files are skipped. Raises FormatError for a damaged chunk."""
    for path, size in sizes.items():
        if path.startswith(f"{layout.DATA}/") and path.endswith(".chunk"):
            magic = storage.get_range(path, 0, len(MAGIC))
            check_version(magic, f"{storage.root}/{path}")
            if magic not in MAGICS:
                raise FormatError(
                    f"{storage.root}/{path}: not a bams3 chunk; restore it, or move it elsewhere"
                )
            yield ChunkReader(storage, path, size=size)


def _check_together(chunks: list[ChunkReader], intact: Manifest | None) -> None:
    """Raise DatasetError unless all chunks are from the same dataset: that of the manifest, if there is one."""
    first = chunks[0]
    known = {intact.header_id, *intact.earlier_header_ids} if intact else {first.footer.dataset}
    for chunk in chunks:
        footer = chunk.footer
        if intact is not None and footer.dataset not in known:
            raise DatasetError(
                f"{chunk.name}: not from the same dataset as {layout.METADATA}; move one of them elsewhere"
            )
        if footer.dataset not in known or footer.level != first.footer.level:
            raise DatasetError(
                f"{chunk.name}: not from the same dataset as {first.name}; move one of them elsewhere, or restore "
                f"{layout.METADATA} if reads were appended"
            )


def _check_vouched(storage: Storage, intact: Manifest, found: Manifest) -> None:
    """Raise DatasetError unless the chunks that were found are those of the dataset's manifest."""
    if (intact.records, intact.chunks) == (found.records, found.chunks) and (
        (intact.index_crc32, intact.index_sha256) != (found.index_crc32, found.index_sha256)
    ):
        raise DatasetError(
            f"{storage.root}: its chunks do not match {layout.METADATA}; restore them, or remove "
            f"{layout.METADATA} to accept what is there"
        )
    if (intact.records, intact.chunks) != (found.records, found.chunks):
        raise DatasetError(
            f"{storage.root}: {layout.METADATA} says {intact.chunks} chunks with {intact.records} records, but "
            f"there are {found.chunks} with {found.records}; restore the missing chunks, or remove "
            f"{layout.METADATA} to accept what is there"
        )


def _header_id(chunks: list[ChunkReader], intact: Manifest | None) -> str:
    return intact.header_id if intact else chunks[0].footer.dataset


def _chunk_size(chunks: Iterable[ChunkReader]) -> int:
    """Return the size of the windows, which `check_chunks` compares with every chunk."""
    for chunk in chunks:
        if chunk.footer.reference_id != layout.UNPLACED:
            return chunk.footer.end - chunk.footer.start
    return layout.DEFAULT_CHUNK_SIZE


def _header(
    storage: Storage, chunks: list[ChunkReader], intact: Manifest | None, given: Any, path: str
) -> tuple[Header, list[str]]:
    """Return the header, and sentences about what is unknown of it.

    `path`: where it should be, unless the version is 1. Raises DatasetError if the header in the `given` file differs.
    """
    wanted = _header_id(chunks, intact)
    if given is not None:
        from bams3.sources.bam import open_source

        with open_source(uri_of(given)) as source:
            if header_id(source.header) != wanted:
                raise DatasetError(
                    f"{given}: its header is not that of the dataset; give the file that the dataset was made from"
                )
            return source.header, []
    references = tuple((name, length) for name, length in intact.references) if intact else None
    for text in _texts(storage, chunks, path):
        try:
            header = Header(text, references) if references is not None else Header.from_text(text)
        except SourceError:
            continue
        if header_id(header) == wanted:
            return header, []
    known = {
        reference: (name, length) for chunk in chunks for reference, name, length in chunk.footer.references
    }
    if max(known, default=-1) >= MOST_REFERENCES:
        raise DatasetError(
            f"{storage.root}: its chunks mention reference {max(known)}; give the header with --header"
        )
    if references is None:
        references = tuple(known.get(i, (f"unknown_{i}", 0)) for i in range(max(known, default=-1) + 1))
    return joined((chunk.footer.header_text for chunk in chunks), references), [
        "the whole header: the chunks have the lines that their records need; with --header and the source, "
        "bams3 repair restores it"
    ]


def _texts(storage: Storage, chunks: list[ChunkReader], path: str) -> Iterator[bytes]:
    """Yield the texts that may be the whole header."""
    for version, place in ((1, layout.PLAIN_HEADER), (VERSION, path)):
        if storage.exists(place):
            with suppress(ValueError):
                yield header_text(storage.get(place), version)
    yield from dict.fromkeys(chunk.footer.header_text for chunk in chunks)


def _read(
    storage: Storage, entries: list[ChunkEntry], chunks: dict[str, ChunkReader], workers: int,
    progress: Callable[[int], Any] | None, *, hashed: bool,
) -> tuple[list[ChunkEntry], Counts, Sums]:  # fmt: skip
    """Read all chunks, and count and sum their records; return the completed entries, the counts and the sums.

    Entries get the tiles of their row groups and, with `hashed`, the SHA-256 of their chunk. Raises FormatError if the
    records differ from those that were converted.
    """

    def read(entry: ChunkEntry) -> tuple[ChunkEntry, Counts, Sums]:
        counts, sums, tiles = tallied(chunks[entry.path], None if entry.contigs else entry.reference_id)
        sha256 = hash_of(storage, entry.path, entry.size) if hashed else ""
        return entry._replace(sha256=sha256, tiles=tiles), counts, sums

    complete, total, summed = [], Counts.zero(), Sums.zero()
    with Workers(workers) as pool:
        for entry, counts, sums in pool.map(read, entries):
            complete.append(entry)
            total.add(counts)
            summed.add(sums)
            if progress:
                progress(counts.passed[0] + counts.failed[0])
    return complete, total, summed


def _written(storage: Storage, header: bytes, index: bytes, manifest: Manifest) -> list[str]:
    """Write the documents that are missing or differ, the manifest last; return their paths."""
    generation = manifest.generation
    documents = (
        (header_path(manifest.version, generation), header), (path_in(layout.INDEX, generation), index)
    )  # fmt: skip
    rebuilt = [path for path, data in documents if not _holds(storage, path, data)]
    for path, data in documents:
        if path in rebuilt:
            storage.put(path, data)
    if not _holds(storage, layout.METADATA, manifest.to_bytes()):
        put_manifest(storage, storage.put, manifest)
        rebuilt.append(layout.METADATA)
    return rebuilt


def _holds(storage: Storage, path: str, data: bytes) -> bool:
    return storage.exists(path) and storage.get(path) == data
