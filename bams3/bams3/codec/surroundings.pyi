from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock
from bams3.codec.cigars import Cigars

class Surroundings:
    @staticmethod
    def of_block(
        block: RecordBlock, pos: array[int], l_seq: array[int], cigars: Cigars, reference: Any
    ) -> Surroundings: ...
    @staticmethod
    def of_columns(
        seq: Buffer, starts: array[int], pos: array[int], l_seq: array[int], cigars: Cigars, reference: Any
    ) -> Surroundings: ...
