"""Sorted records whose qualities stay where the reads at a position leave doubt, and become one value elsewhere.

Worker threads take windows of 2^16 positions. What becomes of a record depends on the records of its window and of the
two beside it, and not on how they arrive in blocks.
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
"""Bytes that the records of a window may take: if they are more, all of its records stay as they are."""


@dataclass
class WindowRecords:
    """Records of a window, in order: all of them, or some that stay as they are."""

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
    """Cut sorted blocks into windows. Records that stay as they are come as soon as that is known: those of windows
    with too many, and those without a reference."""
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
