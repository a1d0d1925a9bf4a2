from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

def encode(block: RecordBlock, previous: array[int]) -> tuple[dict[str, Any], array[int]]: ...
def decode(first: Buffer, following: Buffer, values: Buffer, previous: array[int]) -> array[int]: ...
def decode_mapq(stream: Buffer, n: int) -> array[int]: ...
