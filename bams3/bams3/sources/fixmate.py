"""A source of reads that are grouped by name, with their mate fields filled in as `samtools fixmate -m` does."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial

from bams3.bam.fixmate import continues, last_template, mended
from bams3.bam.header import Header, field_of, whole_lines
from bams3.bam.records import RecordBlock
from bams3.errors import SourceError
from bams3.sources.inputs import IndexCounts, Mapper, Source
from bams3.sources.wrapped import WrappedSource

MOST = 1 << 30
"""Greatest number of bytes that a template may take in memory, which must hold all of it."""
READ = 200
"""Bytes of memory that each read takes in addition to its record."""


class FixmateSource(WrappedSource):
    """A source with the mate fields of each template filled in. See `Source`.

    A template is a run of adjacent records with the same name. Raises SourceError if, according to the header, the
    records are sorted by coordinate.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        if _is_sorted(source.header):
            raise SourceError(
                f"{self.path}: its header says that it is sorted by coordinate, but --fixmate needs mates next to each "
                "other; run samtools collate first, or leave --fixmate out"
            )

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        lengths = array("i", [length for _, length in self.header.references])
        templates = whole_templates(self._source.blocks(mapper, ordered=False), self.path)
        return mapper(partial(_mended, self.path, lengths), templates)

    def counts(self) -> IndexCounts | None:
        return None  # an unmapped read may get another reference


def _is_sorted(header: Header) -> bool:
    lines = whole_lines(header.text).split(b"\n")
    first = next((line for line in lines if line.startswith(b"@HD\t")), b"")
    return field_of(first, b"SO") == b"coordinate"


def whole_templates(blocks: Iterator[RecordBlock], path: str) -> Iterator[list[RecordBlock]]:
    """Yield lists of consecutive blocks, none of which ends within a template."""
    held: list[RecordBlock] = []  # a template that may continue
    size = 0
    for block in filter(len, blocks):
        first = last_template(block)
        if first or (held and not continues(held[-1], block)):
            yield [*held, block[:first]]
            held, size = [], 0
        held.append(block[first:])
        size += block.offsets[len(block)] - block.offsets[first] + READ * (len(block) - first)
        if size > MOST:
            raise SourceError(
                f"{path}: reads with the same name take more than {MOST >> 20} MB; give each template a unique name"
            )
    if held:
        yield held


def _mended(path: str, lengths: array[int], blocks: list[RecordBlock]) -> RecordBlock:
    try:
        return mended(blocks, lengths)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
