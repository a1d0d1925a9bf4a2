from array import array
from typing import Any

class Depth:
    found: bool
    def __init__(
        self,
        length: int,
        *,
        start: int = 0,
        reference_id: int = 0,
        mode: str = "bases",
        exclude_flags: int = 1796,
        include_flags: int = 0,
        min_mapq: int = 0,
        min_fragment: int = -1,
        max_fragment: int = -1,
    ) -> None: ...
    def __len__(self) -> int: ...
    def add(self, group: Any, accept: Any = None) -> None: ...
    def finish(self) -> None: ...
    def fill(self, begin: int, values: array[int]) -> None: ...
    def summary(self, begin: int = 0, stop: int = -1) -> tuple[int, int, int | None, int]: ...
    def values(self) -> array[int]: ...
