"""Datasets as files by name: NAME.bam, and NAME.bam.bai or NAME.bam.csi."""

import os
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

from bams3.bridge.blocks import Stored
from bams3.bridge.decoder import Decoder
from bams3.bridge.row_groups import Decoded
from bams3.bridge.virtual_bam import VirtualBam, index_kind
from bams3.dataset import layout
from bams3.dataset.opening import open_readers
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError, UsageError
from bams3.storage import is_remote, open_storage


class File(Protocol):
    """A file of a file system. Errors are those of `VirtualBam`."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    @property
    def modified(self) -> float:
        """Seconds since the epoch."""

    def portions(self, offset: int, length: int) -> list[bytes | Stored]:
        """Return `length` bytes from `offset` on, or fewer at the end, in portions."""


def files(datasets: Sequence[DatasetReader], decoder: Decoder[Decoded]) -> dict[str, File]:
    """Return the files of datasets by name. The chunk index of a dataset is read when one of its files is accessed.

    Raises UsageError if two datasets have the same name.
    """
    found: dict[str, File] = {}
    seen: dict[str, DatasetReader] = {}
    for dataset in datasets:
        name = f"{dataset.name}.bam"
        if name in seen:
            raise UsageError(
                f"{dataset.uri}: its BAM would have the same name, {name}, as that of "
                f"{seen[name].uri}; rename one of them"
            )
        seen[name] = dataset
        bam = _Bam(dataset, decoder)
        kind = index_kind(dataset)
        found[name], found[f"{name}.{kind}"] = bam, _Index(bam, kind)
    return found


def datasets_of(sources: Sequence[str]) -> list[DatasetReader]:
    """Open datasets, or the datasets in folders and prefixes. Raises UsageError, DatasetError and FormatError."""
    found = open_readers([name for source in sources for name in places_of(source)], prefetch=())
    for dataset in found:
        if not dataset.is_whole:
            raise UsageError(f"{dataset.uri}: a single chunk can't be shown as a BAM; give its dataset")
    return found


def places_of(source: str) -> Iterator[str]:
    """Yield the paths or URIs of the dataset at a place, or of the datasets directly below it. Raises DatasetError."""
    place = source.rstrip("/") or "/"
    storage = open_storage(place)
    if storage.exists(layout.METADATA) or not (is_remote(place) or os.path.isdir(storage.root)):
        yield place
        return
    folders = [each for each in storage.folders() if storage.exists(f"{each}/{layout.METADATA}")]
    if not folders:
        raise DatasetError(f"{storage.root}: neither a dataset nor a folder with datasets")
    yield from (f"{place}/{each}" for each in folders)


class _Bam:
    def __init__(self, dataset: DatasetReader, decoder: Decoder[Decoded]) -> None:
        self._dataset, self._decoder = dataset, decoder
        self._lock = threading.Lock()
        self._opened: VirtualBam | None = None

    @property
    def virtual(self) -> VirtualBam:
        with self._lock:
            if self._opened is None:
                self._opened = VirtualBam(self._dataset, self._decoder, once=True)
            return self._opened

    @property
    def size(self) -> int:
        return self.virtual.size

    @property
    def modified(self) -> float:
        return self.virtual.modified

    def portions(self, offset: int, length: int) -> list[bytes | Stored]:
        return self.virtual.portions(offset, length)


class _Index:
    def __init__(self, bam: _Bam, kind: str) -> None:
        self._bam, self._kind = bam, kind

    @cached_property
    def _data(self) -> bytes:
        return self._bam.virtual.index(self._kind)

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def modified(self) -> float:
        return self._bam.modified

    def portions(self, offset: int, length: int) -> list[bytes | Stored]:
        return [self._data[offset : offset + length]]
