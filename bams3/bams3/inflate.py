"""Streaming of text files, plain or gzipped: they are read once, in portions, and never held in memory as a whole."""

import codecs
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from bams3.named import opened
from bams3.standard_input import take

Opener = Callable[[str], BinaryIO]

PORTION = 1 << 20
MAX_LINE = 1 << 24  # bytes
FREE = 16 << 20  # bytes to which any file may inflate, whatever its size
RATIO = 100  # beyond that, the most times its size that a file may inflate to: far more than lists of intervals need


def of_disk(path: str) -> BinaryIO:
    """Open a local file for reading; `-` is standard input, as in samtools. Raises UsageError if the command already
    reads standard input."""
    return opened("/dev/stdin" if take(path) else path, "rb")


class _CountingFile:
    """A file whose first bytes have been put back; counts the bytes read."""

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


def portions(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of an open file, inflated if it is gzipped.

    Raises OSError if the file can't be read, is damaged, or inflates to too much.
    """
    head = file.read(len(codecs.BOM_UTF8))
    source = _CountingFile(head, file)
    if not head.startswith(b"\x1f\x8b"):
        while portion := source.read(PORTION):
            yield portion
        return
    import gzip

    inflated = 0
    try:
        with gzip.GzipFile(fileobj=source) as stream:  # type: ignore[call-overload]
            while portion := stream.read(PORTION):
                inflated += len(portion)
                if inflated > FREE and inflated > RATIO * source.count:
                    raise OSError(
                        f"the file inflates to more than {RATIO} times its size; decompress it first"
                    )
                yield portion
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from None


def whole_lines(file: BinaryIO, *, lone_returns: bool = True) -> Iterator[bytes]:
    """Yield the bytes of a file in portions of whole lines; the last portion may lack its end of line.

    A newline ends a line; with `lone_returns`, so does a lone carriage return. A byte order mark before the first line
    is dropped. Raises OSError as `portions` does, and if a line is longer than MAX_LINE bytes.
    """
    rest = b""
    for number, portion in enumerate(portions(file)):
        if not number:
            portion = portion.removeprefix(codecs.BOM_UTF8)
        end = portion.rfind(b"\n") + 1
        if lone_returns:
            end = max(end, portion.rfind(b"\r", 0, len(portion) - 1) + 1)
        if end:
            yield rest + portion[:end]
            rest = portion[end:]
        else:
            rest += portion
            if len(rest) > MAX_LINE:
                raise OSError(f"a line is longer than {MAX_LINE >> 20} MiB")
    if rest:
        yield rest
