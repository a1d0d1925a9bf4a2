from array import array
from typing import Any

def sums_of_contigs(
    group: Any,
    mask: bytearray,
    stops: array[int],
    *,
    extents: bool = False,
    min_quality: int = 0,
    qualities: bool = False,
) -> list[tuple[int, int, int, int, int, bool, int, int, int]]: ...
