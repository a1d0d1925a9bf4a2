from array import array

from bams3.bam.records import RecordBlock

Column = array[int] | memoryview[int]

def keep_overlapping(
    mask: bytearray, pos: array[int], end: array[int], starts: array[int], ends: array[int]
) -> None: ...
def spread(
    mask: bytearray,
    pos: array[int],
    end: array[int],
    starts: Column,
    ends: Column,
    begun: array[int],
    ended: array[int],
) -> None: ...
def add_to(totals: array[int], at: int, numbers: array[int]) -> None: ...
def overlaps(
    ends: array[int],
    ordered: array[int],
    begun: array[int],
    ended: array[int],
    rows: array[int],
    out: array[int],
) -> None: ...
def keep_flags(mask: bytearray, flag: array[int], require: int, exclude: int) -> None: ...
def keep_fragments(mask: bytearray, tlen: array[int], least: int, most: int) -> None: ...
def keep_any_flag(mask: bytearray, flag: array[int], any_of: int) -> None: ...
def keep_mapq(mask: bytearray, mapq: array[int], minimum: int) -> None: ...
def kept_records(block: RecordBlock, mask: bytearray) -> RecordBlock: ...
