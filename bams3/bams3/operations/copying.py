"""Chunks that are copied byte for byte, to a dataset with the same header."""

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
"""Bytes that are read at a time."""


def is_same(dataset: DatasetReader, plan: Plan) -> bool:
    """Whether the chunks of a dataset are, byte for byte, those of one with this plan that has the same records."""
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
    """Copy chunks of a dataset, and yield their entries. `progress`: called with the stored bytes of each chunk. Raises
    FormatError if one is not that of the index."""
    storage, tiles, there = dataset.storage, dataset.tiles, job.there
    own = Own([job.plan, *there.plans])

    def read(place: tuple[str, int, int]) -> memoryview:
        return memoryview(storage.get_range(*place))

    def write(file: BinaryIO, portions: Iterator[memoryview]) -> str:
        digest = sha256()
        for portion in portions:
            digest.update(portion)
            file.write(portion)
        return digest.hexdigest()

    with job.uploads as uploads:
        found = []
        for entry in entries:
            path = job.plan.chunk_path(entry.reference_id, entry.start)
            if path in there.objects:
                own.check_chunk(uploads.storage, path)
            places = (
                (entry.path, start, min(PORTION, entry.size - start))
                for start in range(0, entry.size, PORTION)
            )
            found.append((path, uploads.write(path, write, job.workers.map(read, places))))
            if progress:
                progress(entry.streams)
    for entry, (path, digest) in zip(entries, found, strict=True):
        if digest() != entry.sha256:
            raise FormatError(
                f"{dataset.chunk_uri(entry)}: is damaged (its SHA-256 is not the one in the index); "
                "restore the chunk or convert it again"
            )
        assert tiles is not None
        yield entry._replace(path=path, tiles=tiles.of_chunk(entry))
