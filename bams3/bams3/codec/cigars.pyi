from array import array
from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

class CigarEncoder:
    streams: dict[str, Any]
    cigars: Cigars
    end: array[int]
    placeholders: array[int]
    def __init__(self, block: RecordBlock) -> None: ...

class Cigars:
    start: array[int]
    count: array[int]
    pool: array[int]
    query_length: array[int]
    reference_length: array[int]
    def __init__(self, streams: Mapping[str, Buffer], n: int) -> None: ...
    def cut(self, first: int, last: int) -> Cigars: ...
    def ends(self, pos: array[int], flag: array[int]) -> array[int]: ...

def decode_placeholders(stream: Buffer, n: int) -> array[int]: ...
