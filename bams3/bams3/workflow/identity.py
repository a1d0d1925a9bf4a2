"""What identifies a file, so that a job is rerun if and only if the file has changed.

Alignments are identified by size and modification time (ETag in object storage): they are too large to be read.
All other files are identified by their contents, wherever they are and however old.
"""

import os
from collections.abc import Iterator

from bams3.storage import is_remote, open_object
from bams3.storage.local import open_regular

BLOCK = 1 << 22
ENDS = 1 << 15  # bytes at each end of a file


def stamp(path: str) -> tuple[int, str]:
    """Size, and modification time or ETag, of a file or an object. Raises OSError, Bams3Error."""
    place, name = open_object(path)
    return place.stamp(name)


def contents(path: str) -> tuple[int, str]:
    """Size and checksum of a file; size and ETag of an object. Raises OSError, Bams3Error."""
    if is_remote(path):
        return stamp(path)
    with open_regular(path.removeprefix("file://")) as file:
        return _checked(iter(lambda: file.read(BLOCK), b""))


def ends(path: str) -> tuple[int, str]:
    """Like `contents`, but of a large file only the size and both ends are used: enough to tell indexes apart."""
    if is_remote(path):
        return stamp(path)
    with open_regular(path.removeprefix("file://")) as file:
        size = os.fstat(file.fileno()).st_size
        starts = (0, max(size - ENDS, ENDS))
        return size, _checked(os.pread(file.fileno(), ENDS, start) for start in starts)[1]


def is_cram(path: str) -> bool:
    """Whether alignments are CRAM, whose reads depend on the reference. A missing file is judged by its name."""
    if is_remote(path):
        return path.endswith(".cram")
    try:
        with open_regular(path.removeprefix("file://")) as file:
            return file.read(4) == b"CRAM"
    except OSError:
        return path.endswith(".cram")


def _checked(blocks: Iterator[bytes]) -> tuple[int, str]:
    from isal.isal_zlib import crc32

    size = checksum = 0
    for block in blocks:
        size += len(block)
        checksum = crc32(block, checksum)
    return size, f"{checksum:08x}"
