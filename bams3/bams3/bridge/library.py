"""The current datasets by name: new datasets in a folder appear, and a dataset that was replaced is opened again."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from bams3.bridge.decoder import Decoder
from bams3.bridge.row_groups import Decoded
from bams3.bridge.shelf import datasets_of, files, places_of
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader
from bams3.errors import DatasetError
from bams3.storage import is_remote, open_storage

OPEN = 64  # datasets whose chunk index is in memory
STEADY = 1.0  # seconds before a dataset, or the contents of a folder, are checked again


class Content(NamedTuple):
    """Bytes that are read when they are needed.

    Attributes
    ----------
    etag
        A strong validator.
    modified
        Seconds since the epoch.
    read
        ``read(offset, length)`` returns 1 to `length` bytes. It may raise FormatError, DatasetError and OSError.
    at_hand
        The same, but returns no bytes if it would have to wait.
    head
        The number of bytes at the start that need no decoding. Many clients request all bytes, but take only these.
    """

    size: int
    etag: str
    modified: float
    read: Callable[[int, int], bytes | memoryview]
    at_hand: Callable[[int, int], bytes | memoryview] = lambda at, length: b""
    head: int = 0


class Served:
    """One state of a dataset, open. `contents` has those of its files that were requested, by kind."""

    def __init__(self, name: str, place: str, decoder: Decoder[Decoded]) -> None:
        """Raises DatasetError, FormatError and OSError."""
        self.name, self.place = name, place
        self.since = _written(place)  # before the dataset is read, so that a later state is noticed
        self.dataset = DatasetReader(place)
        self.bam = VirtualBam(self.dataset, decoder)
        self.checked = time.monotonic()
        self.contents: dict[str, Content] = {}

    @cached_property
    def numbers(self) -> dict[tuple[str, int], int]:
        """The number of each row group in the dataset, by the path of its chunk and its number there."""
        return {(entry.path, place): n for n, (entry, place) in enumerate(self.bam.row_groups.places)}

    def content(self, kind: str) -> Content:
        """The file of a kind: "bam", "bai" or "csi". Raises UsageError if such an index is not possible, and
        OSError."""
        content = self.contents.get(kind)
        if content is None:
            content = self.contents[kind] = self._content(kind)
        return content

    def _content(self, kind: str) -> Content:
        bam, modified = self.bam, self.bam.modified
        if kind == "bam":
            return Content(bam.size, bam.etag, modified, bam.read_some, bam.at_hand, bam.head)
        view = memoryview(bam.index(kind))

        def read(offset: int, length: int) -> memoryview:
            return view[offset : offset + length]

        return Content(len(view), f"{bam.etag}-{kind}", modified, read, read)

    @property
    def is_steady(self) -> bool:
        """Whether the dataset was checked so recently that this need not be repeated."""
        return time.monotonic() - self.checked < STEADY

    @property
    def is_current(self) -> bool:
        """Whether the dataset is still the one that was opened. Raises OSError."""
        if not self.is_steady:
            if _written(self.place) != self.since:
                return False
            self.checked = time.monotonic()
        return True


class Library:
    """The datasets of sources by name. Thread-safe."""

    def __init__(self, sources: Sequence[str], decoder: Decoder[Decoded], bigwigs: str | None = None) -> None:
        """`bigwigs` is a folder or prefix that has a bigWig file NAME.bw for some or all datasets NAME.

        Raises UsageError (also if two datasets have the same name), DatasetError and FormatError.
        """
        files(datasets_of(sources), decoder)  # raises errors
        self._sources, self._decoder, self._bigwigs = sources, decoder, bigwigs
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Served] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}
        self._places: dict[str, str] = {}
        self._looked = -STEADY

    def names(self) -> list[str]:
        """The names of all datasets, in the order of the sources. Raises OSError."""
        with self._lock:
            self._look()
            return list(self._places)

    def get(self, name: str) -> Served:
        """Return an open dataset. Raises KeyError if there is none of that name, and the errors of opening it."""
        with self._lock:
            if name not in self._places:
                self._look()
            place = self._places[name]
            opening = self._opening.setdefault(name, threading.Lock())
        with opening:  # requests for other datasets do not wait for this one
            found = self._open.get(name)
            try:
                if found is None or not found.is_current:
                    found = Served(name, place, self._decoder)
            except FileNotFoundError:
                with self._lock:
                    self._places.pop(name, None)
                raise KeyError(name) from None
        with self._lock:
            self._open[name] = found
            self._open.move_to_end(name)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        return found

    def at_hand(self, name: str) -> Served | None:
        """Return what `get` returns if no waiting is needed, otherwise None."""
        found = self._open.get(name)
        return found if found is not None and found.is_steady else None

    def bigwig(self, name: str) -> Content | None:
        """Return the bigWig file of a dataset, or None. Raises OSError and DatasetError."""
        if self._bigwigs is None:
            return None
        storage, path = open_storage(self._bigwigs), f"{name}.bw"
        try:
            stamp, modified = storage.stamp(path), storage.modified(path)
        except FileNotFoundError:
            return None

        def read(offset: int, length: int) -> bytes:
            data = storage.get_range(path, offset, length)
            if not data or storage.stamp(path) != stamp:
                raise DatasetError(
                    f"{self._bigwigs}/{path}: it was replaced while it was being read; request it again"
                )
            return data

        size, etag = stamp
        return Content(size, hashlib.sha256(f"{size} {etag}".encode()).hexdigest()[:32], modified, read)

    def _look(self) -> None:
        if time.monotonic() - self._looked < STEADY:
            return
        places: dict[str, str] = {}
        for source in self._sources:
            with suppress(DatasetError):  # the source is empty or missing at the moment
                for place in places_of(source):
                    places.setdefault(name_of(place), place)
        self._places, self._looked = places, time.monotonic()


def name_of(place: str) -> str:
    """The name of the dataset at a path or URI."""
    path = place.partition("?")[0] if is_remote(place) else place
    return path.rstrip("/").rpartition("/")[2].removesuffix(".bams3")


def _written(place: str) -> float:
    return open_storage(place).modified(layout.METADATA)
