from collections.abc import Sequence
from typing import Final

from typing_extensions import Buffer

PAGE: Final[int]
MOST: Final[int]
AROUND: Final[int]
LEAD: Final[int]
FEW: Final[int]

class Stored:
    def __init__(
        self, data: Buffer, start: int = 0, end: int | None = None, *, apart: bool = False
    ) -> None: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...

def stored_size(size: int, *, apart: bool = False) -> int: ...
def lead_of(size: int) -> bytes: ...
def joined(portions: Sequence[bytes | memoryview | Stored]) -> bytes: ...
