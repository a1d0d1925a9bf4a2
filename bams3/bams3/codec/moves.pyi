from typing import Any

from typing_extensions import Buffer

def encode(elements: Buffer, counts: Buffer) -> tuple[Any, Any, Any, Any] | None: ...
def decode(
    name: str, dwells: Buffer, numbers: Buffer, longs: Buffer, strides: Buffer, limit: int
) -> tuple[Any, Any]: ...
