from array import array

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock
from bams3.codec.cigars import Cigars
from bams3.codec.tags import Tags

def renumbered(block: RecordBlock, reference_ids: array[int], next_ref: array[int]) -> RecordBlock: ...
def assemble(
    total_size: int,
    reference_id: int,
    pos: array[int],
    mapq: array[int],
    bins: array[int],
    flag: array[int],
    l_seq: array[int],
    next_ref: array[int],
    next_pos: array[int],
    tlen: array[int],
    names: tuple[Buffer, array[int]],
    cigars: Cigars,
    placeholders: array[int],
    seq: Buffer,
    qual: Buffer,
    tags: Tags,
    exact: bool = True,
) -> tuple[RecordBlock, int]: ...
