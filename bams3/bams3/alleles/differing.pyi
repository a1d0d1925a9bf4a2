from array import array
from typing import Any

NO_READ: int

def mark_differences(
    group: Any, bases: bytes, start: int, marks: bytearray, changes: array[int], shortest: array[int]
) -> None: ...
def mark_a_position_of_each_read(marks: bytearray, shortest: array[int], first: int, last: int) -> None: ...
