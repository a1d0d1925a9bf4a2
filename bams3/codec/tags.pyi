from array import array
from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.sources.records import RecordBlock

class Encoder:
    streams: dict[str, Any]
    def __init__(self, block: RecordBlock, placeholders: array[int]) -> None: ...

class Tags:
    def __init__(self, streams: Mapping[str, Buffer], n: int, name: str | None = None) -> None: ...
    def values(self, name: str) -> list[int | float | str | bytes | None]: ...

def stream_name(key: int) -> str: ...
