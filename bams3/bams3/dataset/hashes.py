"""SHA-256 hashes of stored objects, which a signature of the manifest covers. docs/trust.md explains this."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any

from bams3.chunk.entry import ChunkEntry
from bams3.dataset import layout
from bams3.dataset.index import index_from_bytes
from bams3.dataset.manifest import HASHED, sha256_of
from bams3.dataset.packing import readable_header
from bams3.storage import Storage

PORTION = 8 << 20  # bytes that are read at a time

Map = Callable[[Callable[[ChunkEntry], str], Iterable[ChunkEntry]], Iterable[str]]


def hash_of(storage: Storage, path: str, size: int) -> str:
    """Return the SHA-256 of the first `size` bytes of an object, in hex digits."""
    digest = sha256()
    for start in range(0, size, PORTION):
        digest.update(storage.get_range(path, start, min(PORTION, size - start)))
    return digest.hexdigest()


def unvouched(dataset: Any, mapped: Map) -> Iterator[str]:
    """Yield a line for each object of a dataset whose SHA-256 is missing or wrong, or that the manifest does not name.

    Parameters
    ----------
    dataset
        A DatasetReader.
    mapped
        Calls a function with each entry, possibly in several threads, and yields the results in order.

    Raises
    ------
    OSError
        If the storage can't list its objects.
    """
    storage, manifest, uri = dataset.storage, dataset.manifest, dataset.uri
    there = storage.sizes()
    if manifest.version < HASHED:
        yield (
            f"{uri}/{layout.METADATA}: has no SHA-256 hashes, because an earlier version of bams3 wrote the dataset; "
            "use bams3 rewrite to write a dataset that has them"
        )
        entries = dataset.objects
    else:
        text = readable_header(storage, dataset.header_path, manifest.version)
        if text is None or sha256_of(text) != manifest.header_sha256:
            yield f"{uri}/{dataset.header_path}: its SHA-256 is not the one in {layout.METADATA}; restore it"
        index = storage.get(dataset.index_path)  # not the cached one
        if sha256_of(index) != manifest.index_sha256:
            yield f"{uri}/{dataset.index_path}: its SHA-256 is not the one in {layout.METADATA}; restore it"
            return  # the hashes in it prove nothing
        entries = index_from_bytes(index, manifest, uri)
        present = [entry for entry in entries if there.get(entry.path) == entry.size]
        found = mapped(lambda entry: hash_of(storage, entry.path, entry.size), present)
        wrong = {entry.path for entry, sha in zip(present, found, strict=True) if sha != entry.sha256}
        for entry in entries:
            if there.get(entry.path) != entry.size:
                yield f"{uri}/{entry.path}: missing, or its length is wrong; restore it"
            elif entry.path in wrong:
                yield f"{uri}/{entry.path}: its SHA-256 is not the one in {dataset.index_path}; restore it"
    named = {layout.METADATA, dataset.index_path, dataset.header_path, *(entry.path for entry in entries)}
    for path in sorted({*there, *storage.links()} - named):
        yield f"{uri}/{path}: the manifest does not name it; move it elsewhere"
