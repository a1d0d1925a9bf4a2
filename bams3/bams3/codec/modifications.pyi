from array import array

from typing_extensions import Buffer

from bams3.codec.surroundings import Surroundings

def encode(
    texts: Buffer, holders: memoryview[int], flag: array[int], around: Surroundings
) -> tuple[Buffer, Buffer]: ...
def decode(
    heads: Buffer, bits: Buffer, holders: array[int], flag: array[int], around: Surroundings, limit: int
) -> Buffer: ...
