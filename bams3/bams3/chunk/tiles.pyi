from array import array
from collections.abc import Iterable, Sequence

from bams3.bam.records import RecordBlock

TILE_SHIFT: int
LEAST_BYTES: int

def tiles_of(block: RecordBlock, places: tuple[array[int], array[int]] | None = None) -> array[int]: ...
def packed(
    lists: Iterable[Sequence[int]], firsts: Iterable[int]
) -> tuple[list[int], list[int], list[int], list[int]]: ...
def unpacked(
    counts: Sequence[int],
    tiles: Sequence[int],
    starts: Sequence[int],
    backs: Sequence[int],
    firsts: array[int],
    lasts: array[int],
    sizes: array[int],
) -> tuple[array[int], array[int]]: ...
