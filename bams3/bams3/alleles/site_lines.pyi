from collections.abc import Sequence
from typing import Any

def columns(strands: bool) -> tuple[str, ...]: ...

class SiteLines:
    def __init__(
        self, contigs: Sequence[str], samples: Sequence[str], *, strands: bool = False, vcf: bool = False
    ) -> None: ...
    def of(
        self, contig: Any, position: Any, text: Any, text_ends: Any, counts: list[Any], first: int, last: int
    ) -> Any: ...
