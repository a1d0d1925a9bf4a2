from array import array
from typing import Any

def mark_differences(group: Any, bases: bytes, start: int, marks: bytearray, changes: array[int]) -> None: ...
