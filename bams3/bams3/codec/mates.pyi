from array import array
from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock

def encode(
    block: RecordBlock,
    reference_id: int,
    pos: array[int],
    end: array[int],
    query_length: array[int],
    flag: array[int],
    previous: array[int],
) -> tuple[dict[str, Any], list[int]]: ...

class Mates:
    next_ref: array[int]
    next_pos: array[int]
    def __init__(
        self,
        streams: Mapping[str, Buffer],
        reference_id: int,
        pos: array[int],
        flag: array[int],
        previous: array[int],
    ) -> None: ...
    def template_lengths(
        self,
        stream: Buffer,
        escaped: Buffer,
        pos: array[int],
        end: array[int],
        query_length: array[int],
        flag: array[int],
    ) -> array[int]: ...
