from array import array
from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

STREAMS: tuple[str, ...]

def encode(
    texts: Buffer,
    holders: Buffer,
    before: array[int],
    base: tuple[Buffer, Buffer] | None,
    group: tuple[Buffer, Buffer] | None,
) -> tuple[dict[str, Any], dict[str, Any]]: ...
def decode(
    streams: Mapping[str, Any],
    name: str,
    holders: Buffer,
    before: array[int],
    base: tuple[Buffer, Buffer] | None,
    group: tuple[Buffer, Buffer] | None,
    limit: int,
) -> Buffer: ...
