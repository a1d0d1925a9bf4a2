from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

def encode(block: RecordBlock, end: array[int]) -> tuple[dict[str, Any], array[int]]: ...
def decode(stream: Buffer, escaped: Buffer, n: int) -> array[int]: ...
def decode_bins(stream: Buffer, pos: array[int], end: array[int]) -> array[int]: ...
