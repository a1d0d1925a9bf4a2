"""A BAM of what real ones lack."""

from pathlib import Path

import pysam

import bams3


def write_odd(folder: Path) -> Path:
    """Write odd.bam and its dataset odd.bams3: array tags, missing fields, unplaced reads."""
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6"}, "SQ": [{"SN": "a", "LN": 3_000_000}, {"SN": "b:1-5", "LN": 100}]}
    )
    records = [
        "r1\t65\ta\t11\t60\t5M\tb:1-5\t3\t0\tACGTN\tIIII!\tNM:i:1\tBA:B:c,-1,2\tMX:i:5",
        "r2\t0\ta\t21\t30\t2S3M1H\t*\t0\t0\tACGTA\t*\tBA:B:c,3,4\tXF:f:0.5\tMX:Z:text",
        "r3\t0\ta\t21\t0\t4M\t*\t0\t0\t*\t*\tBA:B:S,65535\tNM:i:300",
        "r4\t4\ta\t31\t0\t*\t*\t0\t0\tAC\tI~\tEM:B:f",
        "r5\t16\ta\t2000001\t9\t3M\t=\t11\t-9\tGGG\tABC",
        "r6\t129\tb:1-5\t3\t7\t2M\ta\t11\t0\tAC\tII",
        "r7\t4\t*\t0\t0\t*\t*\t0\t0\tACG\tIII",
        "r8\t4\t*\t0\t0\t*\t*\t0\t0\tTTT\tIII",
    ]
    path = folder / "odd.bam"
    with pysam.AlignmentFile(path, "wb", header=header) as file:
        for text in records:
            file.write(pysam.AlignedSegment.fromstring(text, header))
    pysam.index(str(path))
    bams3.convert(path, path.with_suffix(".bams3"))
    return path
