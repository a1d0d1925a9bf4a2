from collections.abc import Sequence

from bams3.bam.records import RecordBlock

WINDOW_SHIFT: int
LONGEST: int

class WindowVotes:
    reference_id: int
    window: int
    whole: bool
    def __init__(
        self, reference_id: int, window: int, blocks: Sequence[RecordBlock], whole: bool = True
    ) -> None: ...

class Consensus:
    def __init__(self, before: WindowVotes | None, own: WindowVotes, after: WindowVotes | None) -> None: ...
    def simplified(self, block: RecordBlock) -> RecordBlock: ...
