from array import array
from collections.abc import Sequence
from typing import Any

from bams3.alleles.variants import Alleles

def columns(strands: bool) -> tuple[str, ...]: ...

class SiteLines:
    def __init__(
        self, contigs: Sequence[str], samples: Sequence[str], *, strands: bool = False, vcf: bool = False
    ) -> None: ...
    def of(
        self, contig: Any, position: Any, text: Any, text_ends: Any, alleles: Alleles,
        counts: Sequence[tuple[array[int], array[int]]], first: int, last: int,
    ) -> Any: ...  # fmt: skip
