"""Options of `samtools view` that bams3 leaves to samtools: records are piped through it before they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from bams3.errors import SourceError
from bams3.output.alignments import bam_bytes

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock


def viewed(blocks: Iterable[RecordBlock], header: Header, options: Sequence[str]) -> Iterator[RecordBlock]:
    """Yield the records that `samtools view` writes with these options, in order. The `header` does not change.

    Raises SourceError with the message of samtools if it fails.
    """
    from bams3.sources.bgzf import BlockReader
    from bams3.sources.process import SamtoolsProcess
    from bams3.sources.stream import read_header, record_blocks

    command = ["view", "-u", "--no-PG", *options, "-"]
    with closing(
        SamtoolsProcess(command, "samtools view", "it failed", bam_bytes(blocks, header))
    ) as process:
        reader = BlockReader(process.stdout, name="samtools view")
        try:
            yield from record_blocks(reader, header, read_header(reader)[1])
        except SourceError:
            # The message of samtools is better, but with some options it exits with code 0.
            process.check(cut=True)
            raise
        process.check()
