from collections.abc import Sequence

LAST: int
MAX_RECORDS: int
MAX_BYTES: int
SHORTEST_RECORD: int

def check_joined(
    contigs: Sequence[int],
    zones: Sequence[Sequence[int]],
    reference_id: int,
    start: int,
    end: int,
    lengths: Sequence[int],
) -> None: ...
def check_zones(
    zones: Sequence[Sequence[int]], reference_id: int, start: int, end: int, length: int
) -> None: ...
