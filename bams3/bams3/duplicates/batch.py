"""A batch of sorted reads whose duplicates are marked as if all reads were marked at once.

For this, the reads before and after the batch are examined, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bams3.bam.records import RecordBlock
from bams3.sources.inputs import Mapper

if TYPE_CHECKING:
    from bams3.duplicates.marks import Marks
    from bams3.duplicates.source import Marking


class Batch:
    """The marking of one batch.

    `before`, `after`: digests of the marker's state at the start and at the end of the batch, as far as it can affect
    later reads; "" if the batch begins or ends together with a contig. If the `before` of a batch equals the `after` of
    the batch before it, its reads are marked as if the marking of that batch had continued.
    """

    def __init__(self, marking: Marking) -> None:
        self._marking = marking
        self._marker = marking.marker()
        self.before = self.after = ""

    def begin(self, blocks: Iterable[RecordBlock], contig: int, mapper: Mapper) -> str:
        """Examine reads before the batch, starting from an empty state; return the digest `before`.

        `contig`: reference id of the contig in which the batch begins.
        """
        self._marker = self._marking.marker()
        for block, keys in mapper(self._marking.keyed, blocks):
            self._marker.add(block, keys, own=False)
        self.before = self._digest(contig)
        return self.before

    def marked(
        self, blocks: Iterable[RecordBlock], behind: Iterable[RecordBlock], contig: int | None, mapper: Mapper
    ) -> Iterator[RecordBlock]:
        """Yield the blocks of the batch with their duplicates marked.

        `behind`: the blocks that follow on the same contig, of which as many are examined as needed. `contig`:
        reference id of the contig in which the batch ends; None if it ends with the end of a contig.
        """
        return mapper(self._marking.changed, self._decided(blocks, behind, contig, mapper))

    def numbers(self) -> list[list[int]]:
        """Return the numbers of reads of each kind (`statistics.KINDS`) by read group, once all reads are marked."""
        return self._marking.finish(self._marker)

    def _decided(
        self, blocks: Iterable[RecordBlock], behind: Iterable[RecordBlock], contig: int | None, mapper: Mapper
    ) -> Iterator[tuple[RecordBlock, Marks]]:
        for block, keys in mapper(self._marking.keyed, blocks):
            yield from self._marker.add(block, keys)
        if contig is not None:
            self.after = self._digest(contig)
        following = map(self._marking.keyed, behind)
        while not self._marker.is_complete:
            found = next(following, None)
            yield from self._marker.add(*found, own=False) if found else self._marker.finish()

    def _digest(self, contig: int) -> str:
        return hashlib.sha256(self._marker.state(contig)).hexdigest()
