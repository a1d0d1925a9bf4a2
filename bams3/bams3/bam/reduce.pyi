from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

def reduced(block: RecordBlock, table: Buffer, dropped: bytes) -> RecordBlock: ...
