"""Headers and indexes of remote datasets, cached on the local disk if `BAMS3_CACHE` names a directory.

An entry is identified by the dataset's URI and by the length and CRC-32 in the dataset's manifest, so it cannot be
out of date. The manifest itself is always read from the store. Several processes may share a directory; other files in
it are left alone.
"""

import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress

from bams3.errors import UsageError
from bams3.storage.beside import FileBeside
from bams3.storage.local import open_regular

CACHE = "BAMS3_CACHE"  # environment variable: a directory, created if needed
SIZE = "BAMS3_CACHE_BYTES"  # environment variable: its maximum size in bytes
DEFAULT_SIZE = 1 << 30

_FOLDER = re.compile(r"[0-9a-f]{32}")  # the folder of a dataset
_ENTRY = re.compile(r"(\d{1,18})-[0-9a-f]{8}(\.\d+\.[0-9a-f]{8}\.tmp)?")


class Cache:
    """The cached documents of one dataset."""

    def __init__(self, folder: str, uri: str) -> None:
        """`folder`: the directory of the cache. `uri`: the URI of the dataset, without secrets."""
        self._top = folder
        self._folder = os.path.join(folder, hashlib.sha256(os.fsencode(uri)).hexdigest()[:32])

    @classmethod
    def of(cls, uri: str) -> "Cache | None":
        """Return the cache of a dataset; None if no cache is configured."""
        folder = os.environ.get(CACHE)
        return cls(folder, uri) if folder else None

    @property
    def knows(self) -> bool:
        """Whether there is an entry for the current or an earlier state of the dataset."""
        return os.path.isdir(self._folder)

    def get(self, length: int, crc32: int) -> bytes | None:
        """Return the entry with this length and CRC-32; None if it is missing or damaged."""
        path = self._path(length, crc32)
        try:
            with open_regular(path) as file:
                data = file.read(length + 1)
            os.utime(path)  # marks it as recently used
        except OSError:
            return None
        return data if (len(data), zlib.crc32(data)) == (length, crc32) else None

    def put(self, data: bytes) -> None:
        """Store an entry, and delete the least recently used entries beyond the size limit. File errors are ignored."""
        limit = _limit()
        if len(data) > limit or os.path.islink(self._folder):
            return
        path = self._path(len(data), zlib.crc32(data))
        temporary = f"{os.path.basename(path)}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        with suppress(OSError):
            os.makedirs(self._folder, exist_ok=True)
            with FileBeside(path, temporary) as beside:
                beside.file.write(data)
                beside.appear()
            self._shrink(limit)

    def _path(self, length: int, crc32: int) -> str:
        return os.path.join(self._folder, f"{length}-{crc32:08x}")

    def _shrink(self, limit: int) -> None:
        entries = sorted(_entries(self._top), reverse=True)
        held = 0
        for _, size, path in entries:
            held += size
            if held > limit:
                with suppress(OSError):
                    os.unlink(path)


def _entries(top: str) -> Iterator[tuple[float, int, str]]:
    """Yield (time of last use, length, path) of all entries of all datasets.

    Other files in the directory belong to the user: links, and files whose name is different or gives another length.
    """
    for folder in _listed(top):
        if _FOLDER.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False):
            for file in _listed(folder.path):
                with suppress(OSError):  # another process has deleted it
                    found = file.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and _is_entry(file.name, found.st_size):
                        yield found.st_mtime, found.st_size, file.path


def _listed(folder: str) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as found:
        return list(found)
    return []


def _is_entry(name: str, length: int) -> bool:
    """Tell whether a file is an entry, or an incomplete entry that a killed process left."""
    match = _ENTRY.fullmatch(name)
    return match is not None and (match[2] is not None or int(match[1]) == length)


def _limit() -> int:
    text = os.environ.get(SIZE) or str(DEFAULT_SIZE)
    if not re.fullmatch("[0-9]{1,18}", text):
        raise UsageError(f"{SIZE}={text}: give a number of bytes")
    return int(text)
