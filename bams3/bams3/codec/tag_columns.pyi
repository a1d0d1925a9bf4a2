from array import array

from typing_extensions import Buffer

from bams3.codec.tags import Tags

INTEGERS: str
FLOATS: str
TEXTS: str

class TagColumn:
    valid: bytearray
    offsets: array[int]
    values: Buffer
    def __init__(self, tags: Tags, name: str, kind: str) -> None: ...

def kinds(tags: Tags, name: str) -> list[str]: ...
