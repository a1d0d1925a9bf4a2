"""Measurement of how many bytes of a source have been read."""

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from bams3.sources.files import input_at
from bams3.sources.inputs import Input


def size_of(path: str) -> int | None:
    """The size in bytes of the file at a path or URI; None for a pipe or a directory."""
    file = input_at(path)
    return None if file.once or os.path.isdir(path) else file.size()


class Meter:
    """Passes on numbers of bytes that were read, but no more than `total` of them altogether.

    The limit is needed because parts of a file may be read twice, or may be larger than an index indicates.
    """

    total: int | None = None

    def __init__(self, report: Callable[[int], Any]) -> None:
        self._report = report
        self._done = 0

    def __call__(self, size: int) -> None:
        if self.total is not None:
            size = min(size, self.total - self._done)
        self._done += size
        self._report(size)


class MeteredInput:
    """An `Input` that reports the number of bytes whenever bytes are read from it."""

    def __init__(self, metered: Input, report: Callable[[int], Any]) -> None:
        self._input, self._report = metered, report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._input, name)

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        return cast(BinaryIO, _MeteredFile(self._input.open(start, end), self._report))


class _MeteredFile(io.RawIOBase):
    def __init__(self, file: BinaryIO, report: Callable[[int], Any]) -> None:
        self._file, self._report = file, report

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._report(len(data))
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def close(self) -> None:
        self._file.close()
        super().close()
