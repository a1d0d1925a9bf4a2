"""Files whose errors have their names. (Errors of system calls on a descriptor have no file name.)"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO


@contextmanager
def named(path: str) -> Iterator[None]:
    """Context manager that puts this file's name into every OSError."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = path, None
        raise


class NamedFile(io.FileIO):
    """An unbuffered file whose errors have the name `called`, by default `path`. `path` may be a descriptor.

    If a file is only read, errors when it is closed are ignored, because nothing is lost.
    """

    def __init__(
        self, path: str | int, mode: str, called: str | None = None, *, closefd: bool = True
    ) -> None:
        self._called = str(path) if called is None else called
        self._loses = mode != "rb"
        with named(self._called):
            super().__init__(path, mode, closefd)

    def read(self, size: int | None = -1) -> bytes:
        with named(self._called):
            return super().read(size)

    def readall(self) -> bytes:
        with named(self._called):
            return super().readall()

    def readinto(self, buffer: Any) -> int:
        with named(self._called):
            return super().readinto(buffer)

    def write(self, data: Any) -> int:
        with named(self._called):
            return super().write(data)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            if self._loses:
                error.filename = self._called
                raise


def opened(path: str, mode: str) -> BinaryIO:
    """Open a buffered file ("rb", "wb") whose errors have its name."""
    file = NamedFile(path, mode)
    return io.BufferedReader(file) if file.readable() else io.BufferedWriter(file)
