from array import array
from collections.abc import Sequence

from bams3.bam.records import RecordBlock

def merged(blocks: Sequence[RecordBlock], starts: array[int], most: int) -> RecordBlock: ...
