"""Records of a BAM as pysam has them."""

from collections.abc import Iterable

import pysam


def everything(bam: pysam.AlignmentFile) -> list[pysam.AlignedSegment]:
    bam.reset()  # pysam goes on from where it is
    return list(bam)


def texts(records: Iterable[pysam.AlignedSegment]) -> list[str]:
    return [record.to_string() for record in records]


def busiest(bam: pysam.AlignmentFile) -> str:
    return max(bam.get_index_statistics(), key=lambda contig: contig.mapped).contig
