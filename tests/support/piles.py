"""Row groups for piles."""

from array import array
from types import SimpleNamespace
from typing import Any


def group(**changed: Any) -> Any:
    """Two reads of four bases, with every column that piles need."""
    columns = {
        "records": 2, "reference_id": 0, "pos": array("i", [5, 6]), "end": array("i", [9, 10]),
        "flag": array("H", [99, 147]), "mapq": array("B", [60, 60]), "l_seq": array("i", [4, 4]),
        "cigar_start": array("I", [0, 0]), "cigar_count": array("I", [1, 1]), "cigar_pool": array("I", [4 << 4]),
        "seq": b"\x12\x48" * 2, "qual": bytearray(b"\x1e" * 8), "previous": array("i", [-1, 0]),
        "next_ref": array("i", [0, 0]), "next_pos": array("i", [6, 5]), "tlen": array("i", [5, -5]),
        "names": (b"aa", array("q", [0, 1, 2])),
    }  # fmt: skip
    return SimpleNamespace(**(columns | changed))
