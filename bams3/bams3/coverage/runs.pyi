from array import array
from typing import Any

class Runs:
    records: int
    reference_id: int
    starts: array[int]
    ends: array[int]
    reads: int
    mapq_total: int
    aligned: bool
    quality_total: int
    quality_count: int

def counted(
    group: Any,
    mask: bytearray,
    *,
    extents: bool = False,
    deletions: bool = False,
    min_quality: int = 0,
    pileup: bool = False,
    clip: array[int] | None = None,
    begin: int = 0,
    reach: int = 0,
    sum_to: int = 0,
    bin: int = 1,
) -> Runs: ...
def keep_long(mask: bytearray, group: Any, minimum: int, *, soft_clips: bool) -> None: ...
def check_cigars(start: array[int], count: array[int], operations: int) -> None: ...
