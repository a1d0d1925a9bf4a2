from array import array
from collections.abc import Sequence

from bams3.bam.records import RecordBlock

FIELDS: int

def first_odd_tag(block: RecordBlock, excluded: int, required: int) -> tuple[int, bytes, bytes] | None: ...
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
