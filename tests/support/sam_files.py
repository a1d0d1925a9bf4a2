"""Real files, and how samtools reads them."""

import gzip
import subprocess
from pathlib import Path

from bams3.bam.header import Header
from bams3.bam.records import RecordBlock, walk
from peers import need, real_bams

REAL = real_bams()


def samtools(*arguments, **options) -> bytes:
    """What samtools prints."""
    need("samtools")
    return subprocess.run(
        ["samtools", *map(str, arguments)], check=True, capture_output=True, **options
    ).stdout


def read_bam(path) -> tuple[Header, RecordBlock]:
    """A whole BAM file, by gzip: independent of the project's own BGZF reader."""
    data = gzip.decompress(Path(path).read_bytes())
    header = Header.from_bam(data)
    start = len(header.to_bam())
    block, used = walk(data, len(header.references), start)
    assert start + used == len(data)
    return header, block
