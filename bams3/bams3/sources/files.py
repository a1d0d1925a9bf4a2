"""Access to the files of sources: local files, standard input, and objects in a store."""

import os
import stat
from collections.abc import Sequence
from typing import BinaryIO, cast

from bams3.errors import SourceError
from bams3.named import NamedFile, named
from bams3.sources.inputs import Input, check_small, source_error
from bams3.standard_input import take
from bams3.storage import is_remote

STDIN = "-"
WINDOWS = "its windows are read in any order"
PORTION = 1 << 20


def input_at(path: str) -> Input:
    """The file at a path or URI; `-` is standard input. Raises UsageError for an unsupported URI."""
    if not is_remote(path):
        return LocalInput(path)
    from bams3.sources.remote import RemoteInput

    return RemoteInput(path)


def expect_again(file: "str | Input", why: str) -> None:
    """Raise SourceError, without opening it, if a file can be opened only once. `why`: why this is not enough."""
    if isinstance(file, str):
        if is_remote(file):
            return
        file = LocalInput(file)
    if file.once:
        shown = "standard input" if file.name == STDIN else file.name
        raise SourceError(f"{shown} can be read only once, but {why}; use a regular file")


def expect_regular(path: str) -> None:
    """Raise SourceError if a file that was found by name, next to another file, is a pipe or device.

    Opening such a file might block forever.
    """
    file = LocalInput(path)
    if file.once:
        raise SourceError(
            f"{file.name}: found next to another file, but neither a regular file nor a link to one; remove it"
        )


def name_beside(path: str, ending: str, suffix: str = "") -> str:
    """Return the path or URI of a file with the same name plus an ending.

    If the name has `suffix`, this is replaced.
    """
    web = path.startswith(("http://", "https://"))
    place, mark, query = path.partition("?") if web else (path, "", "")
    return place.removesuffix(suffix) + ending + mark + query


class LocalInput:
    """A local file. See `Input`."""

    remote = False

    def __init__(self, path: str) -> None:
        name, self.once = _place(path.removeprefix("file://"))
        self.path = self.name = name

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        # Unbuffered, since readers ask for large portions.
        try:
            if take(self.name):
                file = NamedFile(0, "rb", "standard input", closefd=False)
            else:
                file = NamedFile(self.name, "rb")
        except OSError as error:
            raise source_error(error) from None
        if start:
            file.seek(start)
        return cast(BinaryIO, file)

    def will_read(self, spans: Sequence[tuple[int, int]]) -> None:
        """Do nothing, because the operating system reads ahead."""

    def size(self) -> int:
        return self._stat().st_size

    def modified(self) -> float | None:
        return None if self.once else self._stat().st_mtime

    def read_small(self) -> bytes:
        with named(self.name), open(self.name, "rb") as file:
            check_small(self.name, os.fstat(file.fileno()).st_size)
            data = bytearray()
            while part := file.read(PORTION):  # the size of a pipe is unknown, so nothing is preallocated
                data += part
                check_small(self.name, len(data))
            return bytes(data)

    def close(self) -> None:
        """Do nothing, because no file is kept open."""

    def _stat(self) -> os.stat_result:
        try:
            return os.stat(self.name)
        except OSError as error:
            raise source_error(error) from None


def _place(path: str) -> tuple[str, bool]:
    """Return a name by which other processes can find the file, too, and whether it can be opened only once."""
    if path == STDIN:
        return path, True
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return path, False  # opening it reports the error
    if not stat.S_ISREG(kind):
        return path, not stat.S_ISDIR(kind)
    if path.startswith(("/dev/", "/proc/")):  # a descriptor, which differs in other processes
        real = os.path.realpath(path)
        return (real, False) if os.path.exists(real) else (path, True)
    return path, False
