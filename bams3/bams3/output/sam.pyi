from collections.abc import Iterable

from bams3.bam.records import RecordBlock
from bams3.buffer import Buffer

class ReferenceNames:
    def __init__(self, names: Iterable[str]) -> None: ...
    def __len__(self) -> int: ...

def format_sam(block: RecordBlock, names: ReferenceNames, out: Buffer | None = None) -> Buffer: ...
