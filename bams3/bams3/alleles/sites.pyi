from array import array

from bams3.bam.intervals import BedReader

BED: int
VCF: int
TABLE: int

class SiteReader(BedReader):
    kind: int
    lengths: dict[str, int]
    count: int
    first_lines: list[int]
    past: int
    first_past: int
    def take(self, most: int) -> tuple[array[int], array[int], bytes, array[int], bytes]: ...
