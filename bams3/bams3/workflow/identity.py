"""Identification of files, so that a job is rerun if and only if a file has changed.

Alignments are identified by size and modification time (in object storage, by their ETag), because they are too large
to be read. All other files are identified by their contents, independent of where they are and how old they are.
"""

import os
from collections.abc import Iterator

from bams3.storage import is_remote, open_object
from bams3.storage.local import open_regular

BLOCK = 1 << 22
ENDS = 1 << 15  # number of bytes at each end of a file


def stamp(path: str) -> tuple[int, str]:
    """Return the size, and the modification time or ETag, of a file or object. Raises OSError or Bams3Error."""
    place, name = open_object(path)
    return place.stamp(name)


def contents(path: str) -> tuple[int, str]:
    """Return the size and checksum of a file, or the size and ETag of an object. Raises OSError or Bams3Error."""
    if is_remote(path):
        return stamp(path)
    with open_regular(path.removeprefix("file://")) as file:
        return _checked(iter(lambda: file.read(BLOCK), b""))


def ends(path: str) -> tuple[int, str]:
    """Like `contents`, but for a large file use only the size and both ends, which is enough to distinguish indexes."""
    if is_remote(path):
        return stamp(path)
    with open_regular(path.removeprefix("file://")) as file:
        size = os.fstat(file.fileno()).st_size
        starts = (0, max(size - ENDS, ENDS))
        return size, _checked(os.pread(file.fileno(), ENDS, start) for start in starts)[1]


def is_cram(path: str) -> bool:
    """Tell whether alignments are CRAM, whose reads depend on the reference. For a missing file, the name decides."""
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
