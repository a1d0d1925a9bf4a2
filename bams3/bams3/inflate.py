"""Text files that may be gzipped, in pieces: read once, from beginning to end, and never held as a whole."""

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

Opener = Callable[[str], BinaryIO]

PIECE = 1 << 20
MAX_LINE = 1 << 24  # bytes
FREE = 16 << 20  # bytes that any file may inflate to …
RATIO = 100  # … and so many times its size, which no list of intervals comes near


def of_disk(path: str) -> BinaryIO:
    """A file, open to be read."""
    return open(path, "rb")


class _Counted:
    """What is read of a file, its first bytes put back, and how much that was."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file = head, file
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        if self._head:
            size = len(self._head) if size < 0 else size
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._file.read(size)
        self.count += len(data)
        return data


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of an open file, inflated if it is gzip. Raises OSError, also where they inflate to too much."""
    head = file.read(2)
    source = _Counted(head, file)
    if head != b"\x1f\x8b":
        while piece := source.read(PIECE):
            yield piece
        return
    import gzip

    inflated = 0
    try:
        with gzip.GzipFile(fileobj=source) as stream:  # type: ignore[call-overload]
            while piece := stream.read(PIECE):
                inflated += len(piece)
                if inflated > FREE and inflated > RATIO * source.count:
                    raise OSError(f"it inflates to more than {RATIO} times its size; inflate it first")
                yield piece
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from None


def whole_lines(file: BinaryIO, *, lone_returns: bool = True) -> Iterator[bytes]:
    """The bytes in pieces that end where a line does, but for the last. Raises OSError.

    Lines end with a newline, and with `lone_returns` with a carriage return too.
    """
    rest = b""
    for piece in pieces(file):
        end = piece.rfind(b"\n") + 1
        if lone_returns:
            end = max(end, piece.rfind(b"\r", 0, len(piece) - 1) + 1)
        if end:
            yield rest + piece[:end]
            rest = piece[end:]
        else:
            rest += piece
            if len(rest) > MAX_LINE:
                raise OSError(f"a line is longer than {MAX_LINE >> 20} MiB")
    if rest:
        yield rest
