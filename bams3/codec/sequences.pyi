from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.sources.records import RecordBlock

def encode(block: RecordBlock, query_length: array[int]) -> dict[str, Any]: ...
def decode_lengths(stream: Buffer, escaped: Buffer, query_length: array[int]) -> array[int]: ...
