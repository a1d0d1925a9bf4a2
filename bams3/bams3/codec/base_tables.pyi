from array import array
from typing import Any

from typing_extensions import Buffer

from bams3.codec.surroundings import Surroundings

def encode(
    symbols: Any, values: int, l_seq: array[int], flag: array[int], around: Surroundings
) -> Buffer: ...
def decode(
    stored: Buffer, values: Buffer, l_seq: array[int], flag: array[int], around: Surroundings
) -> Buffer: ...
