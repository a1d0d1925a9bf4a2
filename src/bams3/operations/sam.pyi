from collections.abc import Iterable

from bams3.buffer import Buffer
from bams3.sources.records import RecordBlock

class ReferenceNames:
    def __init__(self, names: Iterable[str]) -> None: ...
    def __len__(self) -> int: ...

def format_sam(block: RecordBlock, names: ReferenceNames, out: Buffer | None = None) -> Buffer: ...
