from array import array
from collections.abc import Sequence

from bams3.coverage.depth import Depth

def lines(
    contig: bytes, depths: Sequence[Depth], starts: array[int], ends: array[int], begin: int, stop: int
) -> memoryview: ...
