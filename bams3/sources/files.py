"""How the sources get at files; `-` is standard input."""

import os
from typing import BinaryIO, cast

from bams3.errors import SourceError

STDIN = "-"


def open_input(path: str) -> BinaryIO:
    """Open a file for reading, unbuffered, since readers ask for large pieces. Raises SourceError."""
    try:
        file = open(0 if path == STDIN else path, "rb", buffering=0, closefd=path != STDIN)  # noqa: SIM115
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    return cast(BinaryIO, file)


def size_and_time(path: str) -> tuple[int, float]:
    """Size in bytes, and time of last change in seconds since the epoch. Raises SourceError."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    return stat.st_size, stat.st_mtime


def exists(path: str) -> bool:
    return os.path.exists(path)
