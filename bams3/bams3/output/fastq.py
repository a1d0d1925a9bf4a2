"""Writing of reads as FASTQ: samtools collate groups mates, and samtools fastq writes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from bams3 import temporary
from bams3.output.alignments import bam_bytes, bgzf
from bams3.output.files import open_output
from bams3.parallel.limits import allow_files
from bams3.sources.process import SamtoolsProcess

if TYPE_CHECKING:
    from bams3.bam.header import Header
    from bams3.bam.records import RecordBlock
    from bams3.parallel.workers import Workers

_PORTION = 1 << 20
_IN_MEMORY = 1 << 20
"""Number of reads that may be sorted in memory at a time."""
_OTHER_FILES = 20
"""Number of files that `samtools collate` may have open besides its temporary files."""


def write_fastq(
    blocks: Iterable[RecordBlock],
    header: Header,
    files: Mapping[str, str],
    options: Sequence[str],
    workers: Workers,
    *,
    records: int,
    level: int,
) -> None:
    """Write the reads in `blocks` as `samtools fastq` does.

    The files appear complete, and either all or none of them. The reads wait for their mates in temporary files that
    are small enough to be sorted in memory.

    Parameters
    ----------
    blocks, header
        The records and their header.
    files
        The path or URI to write, or `-`, for the options -0, -1, -2 and -s of samtools. Files whose names end in .gz
        are compressed as BGZF.
    options
        Further options of `samtools fastq`.
    records
        Approximate number of records.
    level
        BGZF level.

    Raises
    ------
    SourceError
        With the message of samtools, if it fails.
    UsageError
        If a file may not be written, or if the limit on open files is too low.
    """
    with ExitStack() as stack:
        number = min(max(records // _IN_MEMORY, 64), 512)  # 64 is samtools' default
        allow_files(number + _OTHER_FILES)
        # Opened first: if its reader leaves, no file must appear.
        stdout = stack.enter_context(open_output("-"))
        places = {
            name: stack.enter_context(open_output(name))
            for name in dict.fromkeys(files.values())
            if name != "-"
        }
        folder = stack.enter_context(TemporaryDirectory(prefix="bams3-", dir=temporary.folder()))
        command = ["collate", "--no-PG", "-u", "-O", "-n", str(number), "-T", f"{folder}/x", "-"]
        collate = SamtoolsProcess(command, "samtools collate", "it failed", bam_bytes(blocks, header))
        stack.enter_context(closing(collate))
        pipes = {name: os.pipe() for name in places}
        for _, writable in pipes.values():
            os.set_inheritable(writable, True)
        written = {"-": "-"} | {name: f"/dev/fd/{writable}" for name, (_, writable) in pipes.items()}
        words = [word for option, name in files.items() for word in (option, written[name])]
        command = ["fastq", *options, *words, "-"]
        threads = stack.enter_context(ThreadPoolExecutor(max(len(pipes), 1)))
        fastq = SamtoolsProcess(command, "samtools fastq", "it failed", _output_of(collate))
        stack.enter_context(closing(fastq))  # it is closed before its readers, the threads, are waited for
        for _, writable in pipes.values():
            os.close(writable)
        copies = [
            threads.submit(_copy, pipes[name][0], place, level if name.endswith(".gz") else None, workers)
            for name, place in places.items()
        ]
        shutil.copyfileobj(fastq.stdout, stdout)
        for copy in copies:
            copy.result()
        fastq.check()


def _output_of(process: SamtoolsProcess) -> Iterator[bytes]:
    while portion := process.stdout.read(_PORTION):
        yield portion
    process.check()


def _copy(pipe: int, place: BinaryIO, level: int | None, workers: Workers) -> None:
    """Copy all data from a pipe. `level`: the BGZF level; None for plain text."""
    with open(pipe, "rb", buffering=0) as file:
        portions = iter(lambda: file.read(_PORTION), b"")
        for portion in portions if level is None else bgzf(portions, level, workers):
            place.write(portion)
