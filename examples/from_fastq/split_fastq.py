# ruff: noqa: E402, F821 - Snakemake defines `snakemake`; the log comes before all that can fail
"""Split the two FASTQ files of a lane into batches: files of consecutive pairs, about equal in size.

A batch ends only where `bwa mem -K` ends a set of pairs, from which it estimates insert sizes. So these sets are the
same as for the whole files.
"""

from bams3.workflow.log import open_log

open_log(snakemake)

import os
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader, BufferedWriter
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from bams3.errors import SourceError
from isal import igzip, isal_zlib

NONE: tuple[bytes, ...] = ()
BUFFER = 1 << 20


def split(first: str, second: str, folder: Path, batches: int, bases: int) -> None:
    """Write the batches into a folder; `bases` is the number of bases that bwa takes at a time."""
    folder.mkdir(parents=True)
    size = os.path.getsize(first)
    with open(first, "rb") as packed, open(second, "rb") as packed_mates:
        pairs = zip_longest(_reads(packed), _reads(packed_mates), fillvalue=NONE)
        for batch in range(1, batches + 1):
            names = [folder / f"{batch:06d}-of-{batches:06d}_{end}.fastq.gz" for end in (1, 2)]
            with ExitStack() as stack:
                reads, mates = (stack.enter_context(_written(name)) for name in names)
                left = bases
                for read, mate in pairs:
                    if not (read and mate):
                        raise SourceError(
                            f"{second if read else first}: fewer reads than in the other file; copy both again"
                        )
                    reads.writelines(read)
                    mates.writelines(mate)
                    left -= len(read[1]) + len(mate[1]) - 2
                    if left <= 0:
                        left = bases
                        if batch < batches and packed.tell() * batches >= size * batch:
                            break


def _written(path: Path) -> BufferedWriter:
    return BufferedWriter(igzip.open(path, "wb", 1), BUFFER)


def _reads(packed: BinaryIO) -> Iterator[tuple[bytes, ...]]:
    """Yield the four lines of each read."""
    try:
        for read in zip(*[BufferedReader(igzip.open(packed), BUFFER)] * 4, strict=True):
            if read[0][:1] != b"@" or read[2][:1] != b"+":
                raise SourceError(
                    f"{packed.name}: not FASTQ with four lines for each read; convert it to that layout"
                )
            yield read
    except (EOFError, ValueError, igzip.BadGzipFile, isal_zlib.error):
        raise SourceError(f"{packed.name}: truncated, damaged or not gzipped FASTQ; copy it again") from None


split(*snakemake.input, Path(snakemake.output[0]), snakemake.params.batches, snakemake.params.bases)
