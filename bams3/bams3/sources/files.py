"""How the sources get at their files: local ones, standard input, and objects in a store."""

import os
import stat
from collections.abc import Sequence
from typing import BinaryIO, cast

from bams3.errors import SourceError
from bams3.sources.inputs import Input, check_small, source_error
from bams3.storage import is_remote

STDIN = "-"
WINDOWS = "windows are read wherever they lie in it"
PIECE = 1 << 20


def input_at(path: str) -> Input:
    """The file at a path or a URI; `-` is standard input. Raises UsageError for a URI that is not supported."""
    if not is_remote(path):
        return LocalInput(path)
    from bams3.sources.remote import RemoteInput

    return RemoteInput(path)


def expect_again(file: "str | Input", why: str) -> None:
    """Raises SourceError for what can be opened only once, without waiting for it. `why` that is not enough."""
    if isinstance(file, str):
        if is_remote(file):
            return
        file = LocalInput(file)
    if file.once:
        shown = "standard input" if file.name == STDIN else file.name
        raise SourceError(f"{shown} can be read only once, and {why}; give a file")


def expect_regular(path: str) -> None:
    """Raises SourceError for what is found by its name, beside another file, and is a pipe or a device: whoever opens
    it might wait for ever."""
    file = LocalInput(path)
    if file.once:
        raise SourceError(
            f"{file.name}: neither a file nor a link to one, as what is found beside others must be; remove it"
        )


def name_beside(path: str, ending: str, suffix: str = "") -> str:
    """The path or URI of a file of the same name with an ending, in place of `suffix` if it has that."""
    web = path.startswith(("http://", "https://"))
    place, mark, query = path.partition("?") if web else (path, "", "")
    return place.removesuffix(suffix) + ending + mark + query


class LocalInput:
    """A file of this machine. See `Input`."""

    remote = False

    def __init__(self, path: str) -> None:
        name, self.once = _place(path.removeprefix("file://"))
        self.path = self.name = name

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        # Unbuffered, since readers ask for large pieces.
        stdin = self.name == STDIN
        try:
            file = open(0 if stdin else self.name, "rb", buffering=0, closefd=not stdin)  # noqa: SIM115
        except OSError as error:
            raise source_error(error) from None
        if start:
            file.seek(start)
        return cast(BinaryIO, file)

    def will_read(self, spans: Sequence[tuple[int, int]]) -> None:
        """Nothing: the system reads ahead."""

    def size(self) -> int:
        return self._stat().st_size

    def modified(self) -> float | None:
        return None if self.once else self._stat().st_mtime

    def read_small(self) -> bytes:
        with open(self.name, "rb") as file:
            check_small(self.name, os.fstat(file.fileno()).st_size)
            data = bytearray()
            while part := file.read(PIECE):  # of a pipe the size is not known, so no room is made for all
                data += part
                check_small(self.name, len(data))
            return bytes(data)

    def close(self) -> None:
        """Nothing is kept open."""

    def _stat(self) -> os.stat_result:
        try:
            return os.stat(self.name)
        except OSError as error:
            raise source_error(error) from None


def _place(path: str) -> tuple[str, bool]:
    """The name by which other processes, too, find a file, and whether it can be opened only once."""
    if path == STDIN:
        return path, True
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return path, False  # opening it tells what is wrong
    if not stat.S_ISREG(kind):
        return path, not stat.S_ISDIR(kind)
    if path.startswith(("/dev/", "/proc/")):  # a descriptor: those of another process are not ours
        real = os.path.realpath(path)
        return (real, False) if os.path.exists(real) else (path, True)
    return path, False
