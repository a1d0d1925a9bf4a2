from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

STREAMS: tuple[str, ...]

def encode(texts: Buffer) -> tuple[Buffer, ...] | None: ...
def decode(streams: Mapping[str, Any], name: str) -> Buffer: ...
