"""Writes and gathers part files, which have the depth of some windows of a dataset, so that several jobs can share
work.

A part is one zstd frame. It begins with a line of JSON: the dataset, the options that select reads, and the intervals
of contigs as `pieces`. Then follows the depth of each interval: the number of stretches (u64); the start and the number
of depths of each stretch (u64 each); the depths (i32). The last depth of a stretch applies up to the next stretch. All
integers are little-endian.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

from bams3.coverage.depth import Depth
from bams3.coverage.options import CoverageOptions
from bams3.coverage.selection import Accept
from bams3.coverage.write import depth_of
from bams3.dataset import layout
from bams3.dataset.layout import Grid, Window
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError, UsageError
from bams3.sources.files import expect_again
from bams3.storage import is_remote, open_object
from bams3.storage.local import open_regular
from bams3.untrusted import parse_json

# Options that determine which reads count, and how. Parts and the run that gathers them must agree on these.
DEPTH_OPTIONS = (
    "exclude_flags", "include_flags", "min_mapq", "min_fragment", "max_fragment", "fast_mode", "fragment_mode",
)  # fmt: skip


VERSION = 2
"""Version of the layout of part files."""
MAX_HEAD = 1 << 28  # maximum bytes of the first line
OVERLAP = "the parts to gather overlap, or belong to another dataset; give each batch once"


class Stretch(NamedTuple):
    """Depth of consecutive positions of a contig, from `start`; the last value applies to the positions after it."""

    reference_id: int
    start: int
    depth: array[int]


def write_part(
    file: BinaryIO, dataset: DatasetReader, windows: Grid, options: CoverageOptions,
    read_groups: Sequence[str] = (), accept: Accept | None = None,
) -> None:  # fmt: skip
    """Write the depth of `windows` of a dataset to a part file, without contigs that have no reads."""
    import zstandard

    intervals = list(_intervals(dataset, windows))
    head = _identity(dataset, options, read_groups) | {"pieces": intervals}
    with zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as stream:
        stream.write(json.dumps(head).encode() + b"\n")
        for reference_id, start, end in intervals:
            groups = dataset.depth_row_groups(reference_id, options.reads_from(start), end)
            _write_depth(stream, depth_of(groups, reference_id, start, end, options, accept=accept))


def _write_depth(stream: Any, depth: Depth) -> None:
    places = array("Q")
    for start, values in depth.stretches_put():
        places.extend((start, len(values)))
    stream.write(struct.pack("<Q", len(places) // 2) + places.tobytes())
    for _, values in depth.stretches_put():
        stream.write(memoryview(values).cast("B"))


def _intervals(dataset: DatasetReader, windows: Grid) -> Iterator[list[int]]:
    """Yield [reference_id, start, end] of each window that has a chunk, and of each gap between such windows.

    So the number of intervals depends on the number of chunks, not on the lengths of the contigs.
    """
    for run in _runs(windows):
        chunks = dataset.chunks_of(run.reference_id)
        if run.reference_id == layout.UNPLACED or not chunks:
            continue
        limit = min(run.end, dataset.references[run.reference_id][1])
        position = run.start
        for chunk in chunks:
            if position <= chunk.start < limit:
                if position < chunk.start:
                    yield [run.reference_id, position, chunk.start]
                position = min(chunk.end, limit)
                yield [run.reference_id, chunk.start, position]
        if position < limit:
            yield [run.reference_id, position, limit]


def _runs(windows: Grid) -> Iterator[Window]:
    """Yield the windows, with those of a contig joined into one. A window that contigs share gives one for each
    contig."""
    for run in windows.runs():
        if run.reference_id == layout.UNPLACED:
            yield run
        else:
            yield from (run._replace(reference_id=contig) for contig in windows.sharing(run.reference_id))


def _identity(dataset: DatasetReader, options: CoverageOptions, read_groups: Sequence[str]) -> dict[str, Any]:
    chosen = {name: value for name, value in options._asdict().items() if name in DEPTH_OPTIONS}
    chosen["read_groups"] = sorted(read_groups)
    return {"version": VERSION, "dataset": dataset.manifest.header_id, "options": chosen}


class Gathered:
    """The depth in a complete set of part files. Call it with reference ids in ascending order; each call yields the
    stretches of a contig. Only one stretch is in memory at a time.

    Raises FormatError if a file is damaged, and UsageError if a file has a different dataset or different options, or
    if the parts are incomplete or overlap.
    """

    def __init__(
        self,
        paths: Sequence[str],
        dataset: DatasetReader,
        options: CoverageOptions,
        read_groups: Sequence[str] = (),
    ) -> None:
        self._dataset = dataset
        identity = _identity(dataset, options, read_groups)
        heads = []
        for path in paths:
            expect_again(path, "a part file is given twice")
            head = self._head(path)
            for key, value in identity.items():
                if head[key] != value:
                    raise UsageError(
                        f"{path}: made with a different {key}; use the same options for --gather and --batch"
                    )
            heads.append((head["pieces"], path))
        heads.sort()
        self._check_whole(interval for intervals, _ in heads for interval in intervals)
        self._stretches = (stretch for _, path in heads for stretch in self._read(path))
        self._next: Stretch | None = next(self._stretches, None)

    def __call__(self, reference_id: int) -> Iterator[Stretch]:
        """Yield the stretches of a contig, and drop those of earlier contigs that were not requested."""
        while self._next is not None and self._next.reference_id <= reference_id:
            stretch, self._next = self._next, next(self._stretches, None)
            if stretch.reference_id == reference_id:
                yield stretch

    def _check_whole(self, intervals: Iterable[list[int]]) -> None:
        given = iter(intervals)
        interval = next(given, None)
        for reference_id, (name, length) in enumerate(self._dataset.references):
            position = 0 if self._dataset.chunks_of(reference_id) else length
            while position < length:
                if interval is None or interval[:2] > [reference_id, position]:
                    end = interval[1] if interval and interval[0] == reference_id else length
                    raise UsageError(
                        f"no part to gather covers {name}:{position + 1}-{end}; give the parts of all batches"
                    )
                if interval[:2] != [reference_id, position] or not position < interval[2] <= length:
                    raise UsageError(OVERLAP)
                position, interval = interval[2], next(given, None)
        if interval is not None:
            raise UsageError(OVERLAP)

    def _head(self, path: str) -> dict[str, Any]:
        with _opened(path) as stream:
            head = parse_json(_first_line(stream)[0])
            if type(head["version"]) is int and head["version"] != VERSION:
                raise UsageError(
                    f"{path}: a coverage part of version {head['version']}, but this bams3 reads version {VERSION}; "
                    "run its --batch again with this bams3"
                )
            if not isinstance(head["pieces"], list):
                raise ValueError("the list of intervals is missing")
            for interval in head["pieces"]:
                if len(interval) != 3 or not all(type(number) is int for number in interval):
                    raise ValueError(f"invalid interval {interval}")
            return {key: head[key] for key in ("version", "dataset", "options", "pieces")}

    def _read(self, path: str) -> Iterator[Stretch]:
        with _opened(path) as stream:
            line, rest = _first_line(stream)
            read = _Reading(stream, rest)
            for reference_id, start, end in parse_json(line)["pieces"]:
                (count,) = struct.unpack("<Q", read(8))
                if count > end - start:
                    raise ValueError(f"invalid number of stretches {count}")
                places = array("Q", read(16 * count))
                if not count or places[0] > start:  # the depth of the previous interval must not continue
                    yield Stretch(reference_id, start, array("i", [0]))
                position = start
                for begin, length in zip(places[::2], places[1::2], strict=True):
                    if not position <= begin < begin + length <= end:
                        raise ValueError(f"invalid stretch of {length} depths at {begin}")
                    yield Stretch(reference_id, begin, array("i", read(4 * length)))
                    position = begin + length


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Context manager: yield the decompressed stream of a part file; errors in its contents become FormatError."""
    import zstandard

    try:
        with _file(path) as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            yield stream
    except (ValueError, KeyError, TypeError, EOFError, zstandard.ZstdError) as error:
        raise FormatError(
            f"{path}: not a coverage part, or damaged ({error}); run its --batch again"
        ) from error


def _file(path: str) -> BinaryIO:
    if not is_remote(path):
        return open_regular(path)
    place, name = open_object(path)
    return BytesIO(place.get(name))


def _first_line(stream: Any) -> tuple[bytes, bytes]:
    parts: list[bytes] = []
    size = 0
    while not parts or b"\n" not in parts[-1]:
        more = stream.read(1 << 16)
        size += len(more)
        if not more:
            raise EOFError("the first line is incomplete")
        if size > MAX_HEAD:
            raise ValueError("the first line is too long")
        parts.append(more)
    line, _, rest = b"".join(parts).partition(b"\n")
    return line, rest


class _Reading:
    """Reads a stream: a call with a number of bytes returns the next ones. `data` was already read from the stream."""

    def __init__(self, stream: Any, data: bytes) -> None:
        self._stream, self._data, self._at = stream, data, 0

    def __call__(self, length: int) -> bytes:
        if len(self._data) - self._at < length:
            parts = [self._data[self._at :]]
            have = len(parts[0])
            while have < length:
                more = self._stream.read(max(1 << 16, min(1 << 24, length - have)))
                if not more:
                    raise EOFError("the file is truncated")
                parts.append(more)
                have += len(more)
            self._data, self._at = b"".join(parts), 0
        self._at += length
        return self._data[self._at - length : self._at]
