from bams3.bam.records import RecordBlock
from bams3.duplicates.keys import Keys
from bams3.duplicates.supplementary import Supplementary

class Marks:
    bits: bytes
    more: bytes
    def __init__(self, bits: bytes, more: bytes) -> None: ...

Decided = list[tuple[RecordBlock, Marks]]

class Marker:
    unreadable: int
    barcodes: int
    is_complete: bool
    def __init__(
        self,
        length: int = 300,
        *,
        remove: bool = False,
        clear: bool = False,
        originals: bool = False,
        copies: bool = False,
        distance: int = 0,
        chains: bool = True,
        coordinates: bytes = b"",
        order: str = "txy",
        groups: int = 0,
        supplementary: Supplementary | None = None,
    ) -> None: ...
    def add(self, block: RecordBlock, keys: Keys, own: bool = True) -> Decided: ...
    def finish(self) -> Decided: ...
    def state(self, ref: int) -> bytes: ...
    def numbers(self) -> list[list[int]]: ...
