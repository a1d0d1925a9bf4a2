from collections.abc import Callable

from typing_extensions import Buffer

def chosen_layouts(layouts: Buffer, cigar: bool, keep: Callable[[str], bool]) -> bytes: ...
