from typing import Any

from typing_extensions import Buffer

from bams3.sources.records import RecordBlock

def encode(block: RecordBlock) -> dict[str, Any]: ...
def decode(stream: Buffer, values: Buffer, count: int) -> Buffer: ...
