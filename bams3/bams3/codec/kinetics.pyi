from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

class Reads:
    def __init__(self, seq: Buffer, starts: array[int], l_seq: array[int], flag: array[int]) -> None: ...
    @staticmethod
    def of_block(block: RecordBlock, l_seq: array[int], flag: array[int]) -> Reads: ...

def encode(
    elements: Buffer, counts: Buffer, holders: memoryview[int], reads: Reads, tag: str
) -> tuple[Any, Any] | None: ...
def decode(
    name: str,
    values: Buffer,
    stored: Buffer,
    counts: Buffer,
    width: int,
    holders: array[int],
    reads: Reads,
    limit: int,
) -> Buffer: ...
