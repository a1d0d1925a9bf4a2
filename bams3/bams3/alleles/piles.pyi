from array import array
from typing import Any

class Pile:
    reference_id: int
    start: int
    stop: int
    end: int
    least: int
    deleted: int
    covers: bool
    first: int
    def __len__(self) -> int: ...
    def cuts(self, start: int, stop: int, width: int, most: int) -> array[int]: ...

class Piles:
    def __init__(self, max_depth: int, overlaps: bool, once: bool = False) -> None: ...
    def push(self, group: Any, mask: bytearray) -> list[Pile]: ...
    def finish(self) -> Pile: ...
