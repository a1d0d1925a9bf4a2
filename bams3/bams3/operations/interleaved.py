"""Merging of records from several inputs with the row groups that a dataset has in the same window.

Row groups that get no new records are passed on in their stored form. To find them, some of the new records are read
ahead. A row group that lies after all the records read so far is assumed to get some. If this is wrong, it costs time,
but the result is the same.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from struct import unpack_from
from typing import Any

from bams3.bam.records import RecordBlock, find_start
from bams3.operations.row_groups import StoredRowGroup
from bams3.sources.merging import merged

BLOCK = 1 << 20
"""Approximate number of bytes in a block of merged records."""
AHEAD = 4 << 20
"""Number of bytes of records that are read ahead in a window, for all inputs together."""
RUN = 16
"""Greatest number of row groups that are decoded together, unless one begins where the previous one ends."""


class Ahead:
    """Blocks of sorted records, some of which have been read ahead (`known`)."""

    def __init__(self, blocks: Iterator[RecordBlock]) -> None:
        self._blocks = blocks
        self.known: deque[RecordBlock] = deque()
        self.has_more = True
        self.read(1)

    def read(self, size: int) -> None:
        """Read blocks until the known ones have `size` bytes."""
        have = sum(map(_size, self.known))
        while self.has_more and have < size:
            block = next(self._blocks, None)
            if block is None:
                self.has_more = False
            elif len(block):
                self.known.append(block)
                have += _size(block)

    @property
    def place(self) -> tuple[float, float]:
        """Reference id (−1 as 2^32 − 1) and position of the next record; infinite at the end."""
        if not self.known:
            return inf, inf
        block = self.known[0]
        reference_id, pos = unpack_from("<Ii", block.data, block.offsets[0] + 4)
        return reference_id, pos

    def until(self, reference_id: int, pos: float) -> Iterator[RecordBlock]:
        """Yield the records before a place."""
        while self.known:
            block = self.known.popleft()
            count = len(block) if pos == inf else find_start(block, reference_id, int(pos))
            if count < len(block):
                self.known.appendleft(block[count:])
            if count:
                yield block[:count]
            if count < len(block):
                break
            self.read(1)

    def may_touch(self, reference_id: int, first: int, last: float) -> bool:
        """Tell whether, as far as is known, there may be a record with a position from `first` to `last` (included)."""
        for block in self.known:
            at = find_start(block, reference_id, first)
            if at < len(block):
                return bool(_pos(block, at) <= last)
        return self.has_more


def interleaved(
    groups: Iterator[StoredRowGroup],
    others: Sequence[Iterator[RecordBlock]],
    before: int,
    decoded: Callable[[Iterable[StoredRowGroup]], Iterator[RecordBlock]],
) -> Iterator[Any]:
    """Yield, in order, the row groups of a dataset that stay in a window, and blocks of all other records there.

    Parameters
    ----------
    groups
        The row groups of the dataset in the window.
    others
        The records of the other inputs.
    before
        How many of the other inputs precede the dataset. Among records with equal keys, theirs come first.
    decoded
        Reads row groups and yields their records.
    """
    inputs = [Ahead(blocks) for blocks in others]
    share = AHEAD // max(len(inputs), 1)
    group = next(groups, None)
    while group is not None:
        reference_id, zone = group.reference_id, group.zone
        following = next(groups, None)
        for each in inputs:
            each.read(share)
        if reference_id >= 0 and min(each.place[1] for each in inputs) < zone.min_pos:
            yield from merged_blocks(each.until(reference_id, zone.min_pos) for each in inputs)
        if not _may_touch(group, inputs):
            yield group
            group = following
            continue
        run = [group]
        while (
            following is not None
            and _may_touch(following, inputs)
            and (len(run) < RUN or following.zone.min_pos <= run[-1].zone.max_pos)
        ):
            run.append(following)
            following = next(groups, None)
        end = run[-1].zone.max_pos + 1 if following else inf
        rest = [each.until(reference_id, end) for each in inputs]
        # The row groups before it are not kept: they take much memory once they are decoded.
        group = following
        yield from merged_blocks([*rest[:before], decoded(_drained(run)), *rest[before:]])
    yield from merged_blocks(each.until(-1, inf) for each in inputs)


def _may_touch(group: StoredRowGroup, inputs: Iterable[Ahead]) -> bool:
    """Tell whether records of the inputs may lie among those of a row group, or be next to it and belong to it."""
    if group.reach == -inf:
        return False
    return any(each.may_touch(group.reference_id, group.zone.min_pos, group.reach) for each in inputs)


def merged_blocks(inputs: Iterable[Iterator[RecordBlock]]) -> Iterator[RecordBlock]:
    """Merge the records of several inputs. Records with equal keys come in the order of the inputs."""
    left = [(first, rest) for rest in inputs if (first := next(rest, None)) is not None]
    blocks = [first for first, _ in left]
    rests = [rest for _, rest in left]
    starts = array("q", [0] * len(blocks))
    while len(blocks) > 1:
        yield merged(blocks, starts, BLOCK)
        for number in reversed(range(len(blocks))):
            if starts[number] == len(blocks[number]):
                following = next(rests[number], None)
                starts[number] = 0
                if following is None:
                    del blocks[number], rests[number], starts[number]
                else:
                    blocks[number] = following
    for block, start, rest in zip(blocks, starts, rests, strict=True):
        yield block[start:]
        yield from rest


def _drained(items: list[StoredRowGroup]) -> Iterator[StoredRowGroup]:
    """Yield the items, and keep none of them."""
    items.reverse()
    while items:
        yield items.pop()


def _size(block: RecordBlock) -> int:
    size: int = block.offsets[len(block)] - block.offsets[0]
    return size


def _pos(block: RecordBlock, number: int) -> int:
    pos: int = unpack_from("<i", block.data, block.offsets[number] + 8)[0]
    return pos
