from collections.abc import Sequence

from bams3.bridge.blocks import Stored

def answer(place: int, portions: Sequence[bytes | Stored]) -> None: ...
