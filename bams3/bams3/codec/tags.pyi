from array import array
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.codec.derived import Derived

class Tags:
    def __init__(
        self,
        streams: Mapping[str, Any],
        n: int,
        derive: Callable[[], Derived],
        spell: Callable[[Any, Any, array[int]], Buffer],
        pace: Callable[[str, int, array[int]], tuple[Buffer, Buffer]],
        relate: Callable[[str, array[int]], Buffer],
        name: str | None = None,
    ) -> None: ...
    layout: array[int]
    names: list[str]
    def texts_of(
        self, streams: Mapping[str, Any], relate: Callable[[str, array[int]], Buffer], tag: str
    ) -> tuple[Buffer, array[int]] | None: ...
    def values(self, name: str) -> list[int | float | str | bytes | None]: ...

def stream_name(key: int) -> str: ...
def texts(streams: Mapping[str, Any], name: str) -> set[bytes]: ...
