"""Opening of alignments in any format, and reading of BAM."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from bams3.bam.header import MAGIC
from bams3.bam.records import RecordBlock, find_start
from bams3.errors import SourceError
from bams3.sources.bgzf import MAX_BLOCK, NO_END, BlockReader, byte_span, is_bgzf
from bams3.sources.files import WINDOWS, expect_again, input_at
from bams3.sources.index import Index
from bams3.sources.inputs import IndexCounts, Input, Mapper, Source
from bams3.sources.messages import TRUNCATED, show
from bams3.sources.meter import MeteredInput
from bams3.sources.stream import PlainReader, ReadAgain, Reader, read_header, record_blocks

if TYPE_CHECKING:
    from bams3.sources.feeds import Feed

LOOK_BYTES, LOOK_PORTIONS = 4096, 64
"""Number of bytes that are enough to identify a SAM file without a header, and of portions that are read for them (BGZF
blocks may hold few bytes or none)."""
SAM_HEADER = re.compile(rb"@[A-Za-z]{2}[\t\r\n]")
SAM_RECORD = re.compile(rb"[^@\t\n][^\t\n]*\t\d+(\t[^\t\n]+){7}\t")


def open_source(
    path: str, *, index: str | None = None, reference: str | None = None,
    allow_truncated: bool | None = None, progress: Callable[[int], Any] | None = None,
) -> Source:  # fmt: skip
    """Open a BAM, CRAM or SAM file. The format is detected from the content.

    Unless windows are requested, the file is read only once, whatever its format. A dataset of the earlier BAMS3
    writers is a source, too (see `legacy`).

    Parameters
    ----------
    path
        A path or URI; ``-`` is standard input.
    index
        A BAI or CSI file (CRAI for CRAM), which is needed only for windows. By default, it is searched for next to the
        file.
    reference
        FASTA file for CRAM.
    allow_truncated
        Whether to accept a file without an end-of-file marker. None means no, and that the caller does not offer the
        option.
    progress
        Called with the number of bytes whenever bytes of the file are read, except where htslib reads the file itself
        (windows of a CRAM).

    Raises
    ------
    SourceError
        If the file can't be read or has none of these formats.
    """
    if os.path.isdir(path):
        from bams3.sources.legacy import is_legacy, open_legacy

        if is_legacy(path):
            return open_legacy(path)
        raise SourceError(
            f"{path}: a folder; give a BAM, CRAM or SAM file (bams3 rewrite and bams3 merge read datasets)"
        )
    if reference:
        expect_again(reference, "htslib reads parts of it in any order")
    alignments = input_at(path)
    if progress:
        alignments = cast(Input, MeteredInput(alignments, progress))
    kind, packing, opened = _looked_at(alignments)
    if kind == "BAM":
        return BamSource(alignments, packing, opened, index=index, allow_truncated=allow_truncated)
    from bams3.sources.htslib import HtslibSource

    def feed(file: BinaryIO) -> "Feed":
        return _feed(kind, packing, file, alignments.name, allow_truncated)

    return HtslibSource(
        alignments, kind, feed, opened, index=index, reference=reference, allow_truncated=allow_truncated
    )


def _looked_at(alignments: Input) -> tuple[str, str, BinaryIO]:
    """Return the format and the compression of a file, as `_kind` does, and the file, rewound to its start."""
    file = ReadAgain(alignments.open())
    kind, packing = _kind(file, alignments.name)
    file.rewind()
    return kind, packing, cast(BinaryIO, file)


def _feed(kind: str, packing: str, file: BinaryIO, name: str, allow_truncated: bool | None) -> "Feed":
    from bams3.sources.cram import CramBytes
    from bams3.sources.feeds import Feed, SamText

    reader = _inflater(packing, file, name, allow_truncated)
    if kind == "CRAM":
        return CramBytes(reader, allow_truncated=allow_truncated)
    return SamText(reader) if kind == "SAM" else Feed(reader)


def _kind(file: ReadAgain, name: str) -> tuple[str, str]:
    """The format (BAM, CRAM or SAM), and its compression: ``BGZF``, ``gzip`` or ``raw``."""
    head = file.start(MAX_BLOCK)
    if head[:4] == b"CRAM":
        return "CRAM", "raw"
    packing = "BGZF" if is_bgzf(head) else "gzip" if head[:2] == b"\x1f\x8b" else "raw"
    start = b""
    for portion in islice(_inflater(packing, cast(BinaryIO, file), name, True).portions(), LOOK_PORTIONS):
        start += portion
        if start[:4] == MAGIC:
            return "BAM", packing
        if len(start) >= LOOK_BYTES:
            break
    if SAM_HEADER.match(start) or SAM_RECORD.match(start):
        return "SAM", packing
    raise SourceError(f"{name}: {'neither BAM, CRAM nor SAM' if head else 'the file is empty'}")


def _inflater(packing: str, file: BinaryIO, name: str, allow_truncated: bool | None) -> Reader:
    if packing == "BGZF":
        return BlockReader(file, name=name, allow_truncated=allow_truncated)
    if packing == "gzip":
        from isal.igzip import IGzipFile

        return PlainReader(cast(BinaryIO, IGzipFile(fileobj=file)), name)  # type: ignore[no-untyped-call]
    return PlainReader(file, name)


class BamSource:
    """A BAM file, compressed as BGZF or plain gzip, or uncompressed (`packing`). See `Source`.

    `file`: the open file of `alignments`, at its start.
    """

    def __init__(
        self, alignments: Input, packing: str, file: BinaryIO, *, index: str | None = None,
        allow_truncated: bool | None = None,
    ) -> None:  # fmt: skip
        self.path = alignments.name
        self.truncated = False
        self._alignments = alignments
        self._packing = packing
        self._allow_truncated = allow_truncated
        self._files = [file]
        self._index_path = index
        self._opened_index: Index | None = None
        reader = _inflater(packing, file, self.path, allow_truncated)
        self.header, rest = read_header(reader)
        self._unread: tuple[Reader, bytes] | None = (reader, rest)

    @property
    def once(self) -> bool:
        return self._alignments.once

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        reader, rest = self._unread or self._reopen()
        self._unread = None
        yield from record_blocks(reader, self.header, rest, mapper, ordered=ordered)
        self._note(reader)

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        index = self._index()
        first_pos = start if start > 0 else -1
        for begin_voffset, end_voffset in index.chunks_for(reference_id, start, end):
            for block in self._blocks_at(index, mapper, begin_voffset, end_voffset):
                self._expect_reference(block, reference_id, index)
                last = find_start(block, reference_id, end)
                wanted = block[find_start(block, reference_id, first_pos) : last]
                if len(wanted):
                    yield wanted
                if last < len(block):
                    return

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        index = self._index()
        offset = index.unplaced_offset()
        for block in self.blocks(mapper) if offset is None else self._blocks_at(index, mapper, offset):
            self._expect_reference(block, -1, index)
            yield block

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        index = self._index()
        spans: list[tuple[int, int]] = []
        for reference_id, start, end in windows:
            if reference_id >= 0:
                spans += (byte_span(*chunk) for chunk in index.chunks_for(reference_id, start, end))
            elif offset := index.unplaced_offset():
                spans.append(byte_span(offset, NO_END))
        self._alignments.will_read(spans)

    def counts(self) -> IndexCounts | None:
        index = self._find_index()
        references = index.counts() if index else None
        return (
            IndexCounts(references, index.n_no_coor, index.outdated)
            if index and references is not None
            else None
        )

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        index = self._find_index()
        return index.sizes(windows) if index else [0] * len(windows)

    def close(self) -> None:
        for file in self._files:
            file.close()
        self._alignments.close()

    def __enter__(self) -> "BamSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        expect_again(self._alignments, "it must be read a second time")
        file = self._alignments.open(start, end)
        self._files.append(file)
        return file

    def _note(self, reader: Reader) -> None:
        if reader.truncated and not self.truncated:
            self.truncated = True
            show(self.path, TRUNCATED)

    def _reopen(self) -> tuple[Reader, bytes]:
        reader = _inflater(self._packing, self._open(), self.path, self._allow_truncated)
        return reader, read_header(reader)[1]

    def _blocks_at(
        self, index: Index, mapper: Mapper, begin: int, end: int = NO_END
    ) -> Iterator[RecordBlock]:
        """The records between two virtual offsets, or from one offset to the end."""
        with self._open(*byte_span(begin, end)) as file:
            try:
                reader = BlockReader(file, begin, end, name=self.path, allow_truncated=self._allow_truncated)
                yield from record_blocks(reader, self.header, mapper=mapper)
                self._note(reader)
            except SourceError as error:
                raise SourceError(
                    f"{error}; if the BAM is intact, {index.path} is the index of another file"
                ) from None
            finally:
                self._files.remove(file)

    def _expect_reference(self, block: RecordBlock, reference_id: int, index: Index) -> None:
        """Check that all records in a range that the index gives for a reference are on that reference."""
        for record in (0, len(block) - 1):
            at = block.offsets[record] + 4
            if int.from_bytes(memoryview(block.data)[at : at + 4], "little", signed=True) != reference_id:
                raise SourceError(
                    f"{index.path}: not the index of {self.path}: its offsets do not match the records; "
                    "recreate it with samtools index"
                )

    def _find_index(self) -> Index | None:
        if self._opened_index is None and self._packing == "BGZF" and not self._alignments.once:
            n_ref = len(self.header.references)
            self._opened_index = Index.open(self._alignments, self._index_path, n_ref=n_ref)
        return self._opened_index

    def _index(self) -> Index:
        expect_again(self._alignments, WINDOWS)
        index = self._find_index()
        if index is None:
            made = (
                "create one with samtools index"
                if self._packing == "BGZF"
                else "compress the file as BGZF with samtools view -b"
            )
            raise SourceError(f"{self.path}: reading by window needs an index; {made}")
        return index
