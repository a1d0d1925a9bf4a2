"""Records of a BAM as pysam has them."""

from array import array
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import pysam


def everything(bam: pysam.AlignmentFile) -> list[pysam.AlignedSegment]:
    bam.reset()  # pysam goes on from where it is
    return list(bam)


def texts(records: Iterable[pysam.AlignedSegment]) -> list[str]:
    return [record.to_string() for record in records]


def busiest(bam: pysam.AlignmentFile) -> str:
    return max(bam.get_index_statistics(), key=lambda contig: contig.mapped).contig


def plain(value: Any) -> Any:
    """A value of a field or tag, of numpy, pysam or Python, with lists for arrays."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic | array) else value


def pysam_column(name: str) -> Callable[[pysam.AlignedSegment], Any]:
    """What pysam has for a field of `query`."""
    of: dict[str, Callable[[pysam.AlignedSegment], Any]] = {
        "qname": lambda r: r.query_name, "flag": lambda r: r.flag, "rname": lambda r: r.reference_name or "*",
        "pos": lambda r: r.reference_start, "mapq": lambda r: r.mapping_quality, "refid": lambda r: r.reference_id,
        "endpos": lambda r: max(r.reference_end or 0, r.reference_start + 1), "cigar": lambda r: r.cigarstring or "*",
        "mrname": lambda r: r.next_reference_name or "*", "mpos": lambda r: r.next_reference_start,
        "mrefid": lambda r: r.next_reference_id, "tlen": lambda r: r.template_length,
        "seq": lambda r: r.query_sequence or "*", "qual": lambda r: r.qual or "*",
        "ncigar": lambda r: len(r.cigartuples or ()), "rlen": lambda r: bases(r, 0, 2, 3, 7, 8),
        "qlen": lambda r: r.infer_query_length() or 0,
        "sclen": lambda r: bases(r, 4),
        "hclen": lambda r: bases(r, 5),
        "qualities": lambda r: plain(r.query_qualities),
        "library": lambda r: libraries(r.header).get(r.get_tag("RG") if r.has_tag("RG") else "", ""),
    }  # fmt: skip
    return of[name]


def bases(record: pysam.AlignedSegment, *operations: int) -> int:
    return sum(length for operation, length in record.cigartuples or () if operation in operations)


@cache
def libraries(header: pysam.AlignmentHeader) -> dict[str, str]:
    return {group["ID"]: group.get("LB", "") for group in header.to_dict().get("RG", [])}
