from array import array
from collections.abc import Sequence

from bams3.bam.records import RecordBlock

FIELDS: int

def sums_of(
    block: RecordBlock,
    excluded: int,
    required: int,
    mask: int,
    turned: bool,
    tags: Sequence[bytes],
    placed: bool,
) -> dict[bytes | None, tuple[array[int], array[int]]]: ...
def use_folding(wanted: bool) -> bool: ...
