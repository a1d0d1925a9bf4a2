from array import array
from typing import Any

from bams3.bam.records import RecordBlock
from bams3.codec.derived import Derived

class Encoder:
    streams: dict[str, Any]
    def __init__(self, block: RecordBlock, placeholders: array[int], derived: Derived) -> None: ...
