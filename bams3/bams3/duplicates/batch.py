"""A batch of sorted reads whose duplicates are marked as if all reads were there: it looks at those around it, too."""

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
    """Marks a batch. `before`, `after`: digests of what is known of the reads before its first read, and before the
    first one behind it, as far as that matters to later reads; "" if a batch begins, or ends, with a contig.

    If a batch's `before` is the `after` of the one before it, it marks as that one would have gone on to.
    """

    def __init__(self, marking: Marking) -> None:
        self._marking = marking
        self._marker = marking.marker()
        self.before = self.after = ""

    def begin(self, blocks: Iterable[RecordBlock], contig: int, mapper: Mapper) -> str:
        """Look at reads before the batch, and at nothing that was looked at earlier; return the digest `before`.
        `contig`: where the batch begins, a reference id."""
        self._marker = self._marking.marker()
        for block, keys in mapper(self._marking.keyed, blocks):
            self._marker.add(block, keys, own=False)
        self.before = self._digest(contig)
        return self.before

    def marked(
        self, blocks: Iterable[RecordBlock], behind: Iterable[RecordBlock], contig: int | None, mapper: Mapper
    ) -> Iterator[RecordBlock]:
        """Yield the blocks of the batch with their duplicates marked. `behind`: those that follow on the same contig,
        of which some are looked at. `contig`: where the batch ends, a reference id; None at the end of a contig."""
        return mapper(self._marking.changed, self._decided(blocks, behind, contig, mapper))

    def numbers(self) -> list[list[int]]:
        """Return the numbers of its reads, of each read group (`statistics.KINDS`), when all are marked."""
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
