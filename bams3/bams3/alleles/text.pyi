from array import array

from bams3.alleles.piles import Pile
from bams3.buffer import Buffer

class Lines:
    def __init__(
        self,
        contig: bytes,
        *,
        min_quality: int,
        mapq: bool,
        places: bool,
        reverse_del: bool,
        fill: bool,
    ) -> None: ...
    def of(
        self,
        pile: Pile,
        starts: array[int],
        ends: array[int],
        begin: int,
        stop: int,
        reference: bytes | None = None,
    ) -> Buffer: ...
