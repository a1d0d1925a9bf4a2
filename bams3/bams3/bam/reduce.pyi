from collections.abc import Sequence

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

def reduced(
    block: RecordBlock, table: Buffer, dropped: bytes, kept: bytes = b"", read_groups: Sequence[bytes] = ()
) -> RecordBlock: ...
