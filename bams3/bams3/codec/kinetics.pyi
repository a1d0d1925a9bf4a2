from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

class ReadBases:
    def __init__(self, seq: Buffer, starts: array[int], l_seq: array[int], flag: array[int]) -> None: ...
    @staticmethod
    def of_block(block: RecordBlock, l_seq: array[int], flag: array[int]) -> ReadBases: ...

def encode(
    elements: Buffer, counts: Buffer, holders: memoryview[int], reads: ReadBases, tag: str
) -> tuple[Any, Any] | None: ...
def decode(
    name: str,
    values: Buffer,
    stored: Buffer,
    counts: Buffer,
    width: int,
    holders: array[int],
    reads: ReadBases,
    limit: int,
) -> Buffer: ...
