from array import array
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock
from bams3.codec.surroundings import Surroundings

def encode(block: RecordBlock, level: int, around: Callable[[], Surroundings]) -> dict[str, Any]: ...
def decode(
    streams: Mapping[str, Any], l_seq: array[int], flag: array[int], around: Callable[[], Surroundings]
) -> Buffer: ...
def use_wide(wanted: bool) -> bool: ...
