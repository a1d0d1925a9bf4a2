from array import array
from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

def encode(block: RecordBlock, level: int) -> dict[str, Any]: ...
def decode(streams: Mapping[str, Any], l_seq: array[int], flag: array[int]) -> Buffer: ...
