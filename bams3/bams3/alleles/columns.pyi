from typing import Any

from bams3.alleles.piles import Pile

SYMBOLS: str

def count_symbols(pile: Pile, begin: int, min_quality: int, table: Any) -> None: ...
