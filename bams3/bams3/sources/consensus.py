"""Replacement of base qualities: they are kept where the reads at a position disagree, and become one value elsewhere.

Worker threads process windows of 2^16 positions of sorted records. The result for a record depends on the records of
its window and of the two adjacent windows, and not on how they are divided into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bams3.bam.consensus import WINDOW_SHIFT, Consensus, WindowVotes
from bams3.bam.records import RecordBlock, split_windows
from bams3.sources.inputs import Mapper

WINDOW = 1 << WINDOW_SHIFT
MOST = 32 << 20
"""Greatest number of bytes in the records of a window. If they have more, none of them is changed."""


@dataclass
class WindowRecords:
    """Records of a window, in order: all of them (`whole`), or some that are not changed."""

    reference_id: int
    window: int
    whole: bool = True
    size: int = 0
    blocks: list[RecordBlock] = field(default_factory=list)

    def add(self, block: RecordBlock) -> None:
        self.blocks.append(block)
        self.size += block.offsets[len(block)] - block.offsets[0]


class _Counted(NamedTuple):
    records: WindowRecords
    pile: WindowVotes


def simplified(blocks: Iterable[RecordBlock], mapper: Mapper) -> Iterator[WindowRecords]:
    """Yield the records of sorted blocks, changed, window by window."""
    counted = mapper(_counted, windows_of(blocks))
    return mapper(_changed, _neighbours(counted))


def windows_of(blocks: Iterable[RecordBlock]) -> Iterator[WindowRecords]:
    """Cut sorted blocks into windows.

    Records that are not changed, those of windows with too many records and those without a reference, are yielded as
    soon as this is known.
    """
    current: WindowRecords | None = None
    for block in blocks:
        for first, last, reference_id, window in split_windows(block, WINDOW_SHIFT):
            if current and (current.reference_id, current.window) != (reference_id, window):
                yield current
                current = None
            current = current or WindowRecords(reference_id, window, reference_id >= 0)
            current.add(block[first:last])
            if not current.whole or current.size > MOST:
                current.whole = False
                yield current
                current = WindowRecords(reference_id, window, whole=False)
    if current:
        yield current


def _counted(records: WindowRecords) -> _Counted:
    blocks = records.blocks if records.whole else []
    return _Counted(records, WindowVotes(records.reference_id, records.window, blocks, records.whole))


def _neighbours(
    counted: Iterable[_Counted],
) -> Iterator[tuple[WindowVotes | None, _Counted, WindowVotes | None]]:
    before: WindowVotes | None = None
    last: _Counted | None = None
    for each in counted:
        if last:
            yield before, last, each.pile
            before = last.pile
        last = each
    if last:
        yield before, last, None


def _changed(item: tuple[WindowVotes | None, _Counted, WindowVotes | None]) -> WindowRecords:
    before, (records, pile), after = item
    if pile.whole:
        consensus = Consensus(before, pile, after)
        records.blocks = [consensus.simplified(block) for block in records.blocks]
    return records
