"""Sorted records that do not fit into memory: runs in temporary files, and the merging of runs.

A run consists of frames, which are compressed one by one. Runs are merged by reading their frames in the order of their
first records. All records before the first record of the next frame are then known, so they can be merged.
"""

import heapq
import os
import struct
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate, pairwise
from threading import local
from typing import NamedTuple

import zstandard

from bams3 import temporary
from bams3.bam.records import RecordBlock
from bams3.errors import SourceError
from bams3.sources.apart import joined, split
from bams3.sources.buckets import Bucket, first_key, merged, records_before
from bams3.sources.inputs import Mapper

FRAME = 1 << 18
"""Approximate number of bytes of records in a frame. When runs are merged, one or two frames of each are in memory."""
STEP = 1 << 21
"""Number of bytes of records that are read before some of them are merged."""
LENGTHS = struct.Struct("<3Q")

Load = Callable[[], RecordBlock]
_of_this_thread = local()  # has compressors, which threads must not share


class Frame(NamedTuple):
    """Sorted records, which `load` returns. Frames compare by the key of their first record, and then by their run."""

    key: int
    run: int
    number: int
    load: Load


class SortedRun:
    """A temporary file of sorted records, which the system removes when it is closed or the process ends.

    `folder`: the folder of the file. `name`: the file from which the records come, for errors. `use`, `remedy`: for
    errors, what the temporary file is used for, and what the user can do if it can't be written.
    """

    def __init__(
        self, folder: str | None, name: str, use: str = "it is sorted",
        remedy: str = "choose another folder (--tmp-dir), or allow more --memory",
    ) -> None:  # fmt: skip
        self._folder, self._name = folder or temporary.folder(), name
        self._use, self._remedy = use, remedy
        self._keys, self._ends = array("Q"), array("Q", [0])
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        except OSError as error:
            raise self._error(error) from None

    def write(self, records: Iterable[Load], mapper: Mapper) -> None:
        """Compress and write records. Each item becomes a frame."""
        try:
            for key, stored in mapper(_compressed, records):
                self._file.write(stored)
                self._keys.append(key)
                self._ends.append(self._ends[-1] + len(stored))
            self._file.flush()
        except OSError as error:
            raise self._error(error) from None

    def frames(self, number: int) -> Iterator[Frame]:
        """Yield the frames. `number`: the number of this run among those that are merged, in input order."""
        for at, key in enumerate(self._keys):
            yield Frame(key, number, at, partial(self._load, at))

    def close(self) -> None:
        """Close the file, which also removes it. Errors are ignored."""
        with suppress(OSError):
            self._file.close()

    def _load(self, at: int) -> RecordBlock:
        start, end = self._ends[at : at + 2]
        try:
            stored = os.pread(self._file.fileno(), end - start, start)
        except OSError as error:
            raise self._error(error) from None
        try:
            return _decompressed(stored)
        except (ValueError, struct.error, zstandard.ZstdError) as error:
            raise self._error(f"what was written there has changed ({error})") from None

    def _error(self, what: object) -> SourceError:
        said = what.strerror if isinstance(what, OSError) else what
        return SourceError(
            f"{self._name}: {self._use} with temporary files in {self._folder}: {said}; {self._remedy}"
        )


def frames_of(buckets: list[Bucket], run: int, size: int, mapper: Mapper) -> Iterator[Frame]:
    """Sort buckets one after the other, and yield their records in frames of `size` bytes. The list is emptied."""
    number = 0
    for bucket, ranges in mapper(partial(_sorted, size), _taken(buckets)):
        for first, last in ranges:
            yield Frame(bucket.key(first), run, number, partial(bucket.block, first, last))
            number += 1


def merge(runs: Sequence[SortedRun], mapper: Mapper, last: Iterable[Frame] = ()) -> Iterator[Load]:
    """Merge runs and, as the last one, some `last` frames. Yield functions that return the next records, in order."""
    frames = [run.frames(number) for number, run in enumerate(runs)]
    waiting: dict[int, list[RecordBlock]] = {}
    size = 0
    for frame, block in mapper(_loaded, heapq.merge(*frames, last)):
        if size >= STEP:
            yield partial(merged, _taken_before(frame, waiting))
            size = 0
        waiting.setdefault(frame.run, []).append(block)
        size += block.offsets[len(block)]
    yield partial(merged, [block for run in sorted(waiting) for block in waiting[run]])


def call(load: Load) -> RecordBlock:
    """Return the records that a function returns."""
    return load()


def _taken_before(frame: Frame, waiting: dict[int, list[RecordBlock]]) -> list[RecordBlock]:
    """Remove the records before the first record of a frame from those that wait (by run), and return them."""
    taken = []
    for run, blocks in sorted(waiting.items()):
        waiting[run] = []
        for block in blocks:
            end = records_before(block, frame.key, run <= frame.run)
            taken.append(block[:end])
            if end < len(block):
                waiting[run].append(block[end:])
    return taken


def _taken(buckets: list[Bucket]) -> Iterator[Bucket]:
    buckets.reverse()
    while buckets:
        yield buckets.pop()


def _sorted(size: int, bucket: Bucket) -> tuple[Bucket, list[tuple[int, int]]]:
    return bucket, bucket.sort(size)


def _loaded(frame: Frame) -> tuple[Frame, RecordBlock]:
    return frame, frame.load()


def _compressed(load: Load) -> tuple[int, bytes]:
    """Return the key of the first record, and the records as the lengths of three zstd frames and these frames."""
    block = load()
    if not hasattr(_of_this_thread, "compressor"):
        _of_this_thread.compressor = zstandard.ZstdCompressor(1, write_checksum=True)
    parts = [_of_this_thread.compressor.compress(part) for part in split(block)]
    return first_key(block), b"".join([LENGTHS.pack(*map(len, parts)), *parts])


def _decompressed(stored: bytes) -> RecordBlock:
    if not hasattr(_of_this_thread, "decompressor"):
        _of_this_thread.decompressor = zstandard.ZstdDecompressor()
    ends = list(accumulate(LENGTHS.unpack_from(stored), initial=LENGTHS.size))
    parts = (memoryview(stored)[start:end] for start, end in pairwise(ends))
    return joined(*map(_of_this_thread.decompressor.decompress, parts))
