from array import array
from typing import Any

from bams3.bam.records import RecordBlock
from bams3.codec.cigars import Cigars
from bams3.codec.reference import Reference
from bams3.codec.sequences import Mismatched

class Derived:
    def __init__(
        self,
        reference: Reference,
        pos: array[int],
        flag: array[int],
        mapq: Any,
        l_seq: array[int],
        cigars: Cigars,
        previous: array[int],
    ) -> None: ...
    def of_block(self, block: RecordBlock) -> Derived: ...
    def of_columns(self, mismatched: Mismatched, qual: Any) -> Derived: ...
