from array import array
from collections.abc import Mapping
from typing import Any

from bams3.bam.records import RecordBlock
from bams3.codec.cigars import Cigars
from bams3.codec.reference import Reference

def encode_lengths(block: RecordBlock, query_length: array[int]) -> tuple[dict[str, Any], array[int]]: ...
def decode_lengths(stream: Any, escaped: Any, query_length: array[int], limit: int) -> array[int]: ...
def encode(
    block: RecordBlock, pos: array[int], l_seq: array[int], cigars: Cigars, reference: Reference
) -> dict[str, Any]: ...
def decode(
    streams: Mapping[str, Any], pos: array[int], l_seq: array[int], cigars: Cigars, reference: Reference
) -> tuple[Any, array[int], Mismatched]: ...

class Mismatched: ...
