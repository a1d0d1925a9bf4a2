from collections.abc import Sequence

from bams3.bam.records import RecordBlock

class Keys:
    unreadable: int
    def __len__(self) -> int: ...

class KeyMaker:
    def __init__(
        self,
        mode: str = "t",
        *,
        include_fails: bool = False,
        barcode_tag: bytes = b"",
        barcode_pattern: bytes = b"",
        read_groups: Sequence[bytes] = (),
    ) -> None: ...
    def keys(self, block: RecordBlock) -> Keys: ...
