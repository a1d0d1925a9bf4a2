from typing import Any

from bams3.coverage.depth import Depth

class Tally:
    def __init__(
        self,
        length: int,
        *,
        start: int = 0,
        reference_id: int = 0,
        mode: str = "bases",
        exclude_flags: int = 1796,
        include_flags: int = 0,
        incremental: bool = False,
    ) -> None: ...
    def add(self, group: Any, mask: bytes | bytearray | None = None) -> None: ...
    def settled(self) -> Depth | None: ...
    def finish(self) -> Depth: ...
