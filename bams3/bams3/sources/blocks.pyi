from array import array

from typing_extensions import Buffer

def whole_blocks(raw: Buffer, at: int, stop: int, enough: int, most: int) -> array[int]: ...
