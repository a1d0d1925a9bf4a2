from array import array
from collections.abc import Mapping
from typing import Any

from bams3.bam.records import RecordBlock
from bams3.codec.cigars import Cigars

class Reference:
    start: int
    length: int
    @staticmethod
    def of_block(block: RecordBlock, pos: array[int], l_seq: array[int], cigars: Cigars) -> Reference: ...
    @staticmethod
    def of_streams(
        streams: Mapping[str, Any], pos: array[int], l_seq: array[int], cigars: Cigars
    ) -> Reference: ...
    def to_streams(self) -> dict[str, Any]: ...
