from array import array

from typing_extensions import Buffer

WIDTH: int
BEYOND: str

def extents(
    data: Buffer, at: int, references: int, csi: bool, pseudo_bin: int, end_voffset: int
) -> tuple[array[int], int]: ...
