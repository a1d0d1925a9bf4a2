"""Open alignments whatever their format, and read BAM."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, cast

from bams3.errors import SourceError
from bams3.sources import Counts, Mapper, Source
from bams3.sources.bgzf import MAX_BLOCK, NO_END, BlockReader, byte_span, is_bgzf
from bams3.sources.files import WINDOWS, Input, expect_again, input_at
from bams3.sources.header import MAGIC
from bams3.sources.index import Index
from bams3.sources.records import RecordBlock, find_start
from bams3.sources.stream import PlainReader, ReadAgain, Reader, read_header, record_blocks

LOOK_BYTES, LOOK_PIECES = 4096, 64
"""What tells a SAM file without a header; and how far it is looked for, among blocks that hold little or nothing."""
SAM_HEADER = re.compile(rb"@[A-Za-z]{2}[\t\r\n]")
SAM_RECORD = re.compile(rb"[^@\t\n][^\t\n]*\t\d+(\t[^\t\n]+){7}\t")


def open_source(path: str, *, index: str | None = None, reference: str | None = None) -> Source:
    """Open a BAM, CRAM or SAM file at a path or URI, told apart by content; ``-`` is standard input. It is read once,
    whatever it is, unless windows are asked for.

    `index`: a BAI or CSI (CRAI for CRAM), otherwise looked for beside the file; needed only for windows.
    `reference`: FASTA for CRAM. Raises SourceError if the file can't be read or is none of these.
    """
    if reference:
        expect_again(reference, "htslib reads it wherever it needs to")
    alignments = input_at(path)
    looked_at = ReadAgain(alignments.open())
    kind = _kind(looked_at, alignments.name)
    looked_at.rewind()
    file = cast(BinaryIO, looked_at)
    if kind in ("SAM", "CRAM"):
        from bams3.sources.htslib import HtslibSource

        if not alignments.once:
            file.close()
        once = file if alignments.once else None
        return HtslibSource(alignments, kind, file=once, index=index, reference=reference)
    return BamSource(alignments, kind, file, index=index)


def _kind(file: ReadAgain, name: str) -> str:
    """``BGZF`` or ``gzip`` or ``raw``, for BAM so compressed; ``CRAM``; or ``SAM``, however compressed."""
    head = file.start(MAX_BLOCK)
    if head[:4] == b"CRAM":
        return "CRAM"
    kind = "BGZF" if is_bgzf(head) else "gzip" if head[:2] == b"\x1f\x8b" else "raw"
    start = b""
    for piece in islice(_inflater(kind, cast(BinaryIO, file), name).pieces(), LOOK_PIECES):
        start += piece
        if start[:4] == MAGIC:
            return kind
        if len(start) >= LOOK_BYTES:
            break
    if SAM_HEADER.match(start) or SAM_RECORD.match(start):
        return "SAM"
    raise SourceError(f"{name}: {'neither BAM, CRAM nor SAM' if head else 'the file is empty'}")


def _inflater(kind: str, file: BinaryIO, name: str) -> Reader:
    if kind == "BGZF":
        return BlockReader(file, name=name)
    if kind == "gzip":
        from isal.igzip import IGzipFile

        return PlainReader(cast(BinaryIO, IGzipFile(fileobj=file)), name)
    return PlainReader(file, name)


class BamSource:
    """A BAM file: BGZF, plain gzip or uncompressed (`kind`). See `Source`.

    `file` is what `alignments` gives, at its start.
    """

    def __init__(self, alignments: Input, kind: str, file: BinaryIO, *, index: str | None = None) -> None:
        self.path = alignments.name
        self._alignments = alignments
        self._kind = kind
        self._files = [file]
        self._index_path = index
        self._opened_index: Index | None = None
        reader = _inflater(kind, file, self.path)
        self.header, rest = read_header(reader)
        self._unread: tuple[Reader, bytes] | None = (reader, rest)

    def blocks(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        reader, rest = self._unread or self._reopen()
        self._unread = None
        yield from record_blocks(reader, self.header, rest, mapper)

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

    def counts(self) -> Counts | None:
        index = self._find_index()
        references = index.counts() if index else None
        return Counts(references, index.n_no_coor) if index and references is not None else None

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
        expect_again(self._alignments, "it is needed once more")
        file = self._alignments.open(start, end)
        self._files.append(file)
        return file

    def _reopen(self) -> tuple[Reader, bytes]:
        reader = _inflater(self._kind, self._open(), self.path)
        return reader, read_header(reader)[1]

    def _blocks_at(
        self, index: Index, mapper: Mapper, begin: int, end: int = NO_END
    ) -> Iterator[RecordBlock]:
        """The records between two virtual offsets, or from one to the end."""
        with self._open(*byte_span(begin, end)) as file:
            try:
                reader = BlockReader(file, begin, end, name=self.path)
                yield from record_blocks(reader, self.header, mapper=mapper)
            except SourceError as error:
                raise SourceError(
                    f"{error}; if the BAM is sound, {index.path} is another file's index"
                ) from None
            finally:
                self._files.remove(file)

    def _expect_reference(self, block: RecordBlock, reference_id: int, index: Index) -> None:
        """All records of a stretch that the index gives for a reference are of that reference."""
        for record in (0, len(block) - 1):
            at = block.offsets[record] + 4
            if int.from_bytes(memoryview(block.data)[at : at + 4], "little", signed=True) != reference_id:
                raise SourceError(
                    f"{index.path}: not the index of {self.path}, whose records are elsewhere; "
                    "make it again with samtools index"
                )

    def _find_index(self) -> Index | None:
        if self._opened_index is None and self._kind == "BGZF" and not self._alignments.once:
            n_ref = len(self.header.references)
            self._opened_index = Index.open(self._alignments, self._index_path, n_ref=n_ref)
        return self._opened_index

    def _index(self) -> Index:
        expect_again(self._alignments, WINDOWS)
        index = self._find_index()
        if index is None:
            made = "one with samtools index" if self._kind == "BGZF" else "BGZF of it, with samtools view -b"
            raise SourceError(f"{self.path}: there is no index, which windows need; make {made}")
        return index
