"""Byte-for-byte copies of chunks, to a dataset with the same header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from bams3.chunk.entry import ChunkEntry
from bams3.codec import ENCODINGS
from bams3.dataset.own import Own
from bams3.errors import FormatError

if TYPE_CHECKING:
    from bams3.dataset.plan import Plan
    from bams3.dataset.reader import DatasetReader
    from bams3.operations.convert import Conversion

PORTION = 4 << 20
"""Number of bytes that are read at a time."""


def is_same(dataset: DatasetReader, plan: Plan) -> bool:
    """Tell whether a dataset with this plan and the same records would have, byte for byte, the chunks of `dataset`."""
    manifest = dataset.manifest
    return (
        dataset.is_whole
        and (manifest.version, manifest.header_id, manifest.level)
        == (plan.version, plan.header_id, plan.level)
        and (manifest.chunk_size, manifest.encodings) == (plan.chunk_size, ENCODINGS)
        and not (manifest.earlier_header_ids or manifest.partial_header or manifest.joined)
        and dataset.tiles is not None
        and all(entry.sha256 for entry in dataset.objects)
    )


def copied(
    dataset: DatasetReader,
    entries: Sequence[ChunkEntry],
    job: Conversion,
    progress: Callable[[int], None] | None = None,
) -> Iterator[ChunkEntry]:
    """Copy chunks of a dataset, and yield their entries.

    `progress`: called with the size of each chunk's streams in bytes. Raises FormatError if the SHA-256 of a chunk is
    not the one in the index, even when the chunk is read again.
    """
    storage, tiles, there = dataset.storage, dataset.tiles, job.there
    own = Own([job.plan, *there.plans])
    paths = {entry.path: job.plan.chunk_path(entry.reference_id, entry.start) for entry in entries}

    def read(place: tuple[str, int, int]) -> memoryview:
        return memoryview(storage.get_range(*place))

    def write(file: BinaryIO, portions: Iterator[memoryview]) -> str:
        digest = sha256()
        for portion in portions:
            digest.update(portion)
            file.write(portion)
        return digest.hexdigest()

    def copy(some: Sequence[ChunkEntry], told: Callable[[int], None] | None) -> list[ChunkEntry]:
        """Copy chunks, and return the entries of those whose SHA-256 differs from the one in the index."""
        with job.uploads as uploads:
            found = []
            for entry in some:
                places = (
                    (entry.path, start, min(PORTION, entry.size - start))
                    for start in range(0, entry.size, PORTION)
                )
                found.append(uploads.write(paths[entry.path], write, job.workers.map(read, places)))
                if told:
                    told(entry.streams)
        return [entry for entry, digest in zip(some, found, strict=True) if digest() != entry.sha256]

    for path in filter(there.objects.__contains__, paths.values()):
        own.check_chunk(job.uploads.storage, path)
    if damaged := copy(copy(entries, progress), None):
        raise FormatError(
            f"{dataset.chunk_uri(damaged[0])}: is damaged (its SHA-256 is not the one in the index); "
            "restore the chunk or convert it again"
        )
    for entry in entries:
        assert tiles is not None
        yield entry._replace(path=paths[entry.path], tiles=tiles.of_chunk(entry))
