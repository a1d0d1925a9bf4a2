"""Files whose errors name them: the system does not know the name where a call takes a descriptor."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO


@contextmanager
def named(path: str) -> Iterator[None]:
    """Context manager: let every OSError name this file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = path, None
        raise


class NamedFile(io.FileIO):
    """An unbuffered file whose errors say `called`, which is `path` by default. `path` may be a descriptor.

    Closing a file that was only read loses nothing, so no error of that is raised.
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
    """Open a file ("rb", "wb") with a buffer. Its errors name it."""
    file = NamedFile(path, mode)
    return io.BufferedReader(file) if file.readable() else io.BufferedWriter(file)
