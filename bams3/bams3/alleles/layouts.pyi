from typing import Any

BAM_READCOUNT: int
ALLELE_COUNTER: int
COLLECT_ALLELIC_COUNTS: int

def layout_lines(
    kind: int, contigs: list[bytes], contig: Any, position: Any, text: Any, text_ends: Any, counts: Any, first: int,
    last: int,
) -> Any: ...  # fmt: skip
