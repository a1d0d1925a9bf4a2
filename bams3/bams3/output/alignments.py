"""Write records as SAM, BAM or CRAM, to standard output or to a file that appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from bams3.bam.header import Header, whole_lines
from bams3.errors import UsageError
from bams3.output.files import is_special, open_output
from bams3.parallel.workers import Workers, in_order
from bams3.storage import is_remote

if TYPE_CHECKING:
    from bams3.bam.records import RecordBlock

Format = Literal["sam", "sam.gz", "bam", "ubam", "cram"]
DEFAULT_LEVEL = 6
BLOCKS = 32  # of BGZF that a thread compresses at a time
AT_ONCE = 512  # records that are formatted as SAM at a time

_INDEXES: dict[str, tuple[str, ...]] = {
    "sam.gz": (".csi", ".tbi", ".gzi"), "bam": (".csi", ".bai"), "ubam": (".csi", ".bai"), "cram": (".crai",),
}  # fmt: skip
"""Suffixes of the indexes that a file may have; the first is the one that samtools view --write-index writes."""


def write_alignments(
    blocks: Iterable[RecordBlock],
    header: Header,
    out: str | BinaryIO,
    *,
    format: Format = "sam",
    with_header: bool = True,
    level: int = DEFAULT_LEVEL,
    workers: int | Workers = 1,
    pg_line: bytes | None = None,
    reference: str | None = None,
    overwrite: bool = True,
    write_index: bool = False,
) -> None:
    """Write blocks of records in order.

    `out`: a path, `-` for stdout, or a binary file. `with_header`: include the header in SAM; the other formats always
    have it. `level`: BGZF level of `bam` and `sam.gz`, 0 to 9; `ubam` is uncompressed. `pg_line`: an @PG line to add
    to the header. `reference`: the FASTA file that a CRAM is compressed against; without one it embeds its bases.
    `workers`: number of threads that format or compress, or a pool shared with the producer of the blocks.
    `overwrite`: replace `out` if it exists, and remove its indexes. `write_index`: index it as `samtools view` does;
    this takes the path of a local file.
    Raises UsageError for an `out` that may not be written, OSError if it can't be.
    """
    if write_index:
        with _index_of(out, format, overwrite):
            write_alignments(
                blocks, header, out, format=format, with_header=True, level=level, workers=workers, pg_line=pg_line,
                reference=reference, overwrite=overwrite,
            )  # fmt: skip
        return
    if pg_line is not None:
        text = whole_lines(header.text) + pg_line.rstrip(b"\n") + b"\n"
        header = Header(text, header.references)
    with open_output(out, overwrite=overwrite, indexes=_INDEXES.get(format, ())) as file:
        if format == "cram":
            threads = workers.count if isinstance(workers, Workers) else workers
            _write_cram(blocks, header, file, reference, threads)
        elif format == "sam":
            for part in _sam(blocks, header, with_header, workers):
                file.write(part)
        elif format == "sam.gz":
            for part in bgzf(_sam(blocks, header, with_header, workers), level, workers):
                file.write(part)
        else:
            for part in bgzf(bam_bytes(blocks, header), 0 if format == "ubam" else level, workers):
                file.write(part)


def index_name(out: str, format: str) -> str:
    """Return the name of the index that `write_alignments` writes beside `out`."""
    return out + _INDEXES[format][0]


@contextmanager
def _index_of(out: str | BinaryIO, format: Format, overwrite: bool) -> Iterator[None]:
    """After the context, index the file that was written in it."""
    from bams3.sources.process import SamtoolsProcess

    if not isinstance(out, str) or is_remote(out) or out == "-" or is_special(out):
        raise UsageError("an index needs a local output file; give its name")
    name = index_name(out, format)
    options = ["-c"] if name.endswith(".csi") else []
    with open_output(name, overwrite=overwrite) as index:
        yield
        command = ["index", *options, "-o", "/dev/stdout", out]
        with closing(SamtoolsProcess(command, out, "it can't be indexed")) as samtools:
            shutil.copyfileobj(samtools.stdout, index)
            samtools.check()


def sam_header(header: Header) -> bytes:
    """Return the header as SAM: its text, plus @SQ lines for its references if the text has none."""
    text = whole_lines(header.text)
    if b"\n@SQ\t" in b"\n" + text:
        return text
    lines = (f"@SQ\tSN:{name}\tLN:{length}\n" for name, length in header.references)
    return text + "".join(lines).encode("utf-8", "surrogateescape")


def _sam(
    blocks: Iterable[RecordBlock], header: Header, with_header: bool, workers: int | Workers
) -> Iterator[Any]:
    from bams3.output.sam import ReferenceNames, format_sam

    names = ReferenceNames(name for name, _ in header.references)
    if with_header:
        yield sam_header(header)
    yield from in_order(lambda block: format_sam(block, names), _small_blocks(blocks), workers)


def _small_blocks(blocks: Iterable[RecordBlock]) -> Iterator[RecordBlock]:
    """Yield the records in blocks so small that their text fits in the cache, and its memory is used again."""
    for block in blocks:
        for start in range(0, len(block), AT_ONCE):
            yield block[start : start + AT_ONCE]


def bam_bytes(blocks: Iterable[RecordBlock], header: Header) -> Iterator[Any]:
    """Yield the bytes of a BAM file before compression."""
    yield header.to_bam()
    for block in blocks:
        yield memoryview(block.data)[block.offsets[0] : block.offsets[-1]]


def bgzf(parts: Iterable[Any], level: int, workers: int | Workers) -> Iterator[bytes]:
    """Yield BGZF of the concatenated `parts`, ending with the end-of-file marker."""
    from bams3.output.bgzf import MAX_INPUT, block_parts
    from bams3.sources.bgzf import EOF_MARKER

    def compress(portion: list[memoryview]) -> bytes:
        written: list[bytes] = []
        for pieces in _portions(portion, MAX_INPUT):
            written += block_parts(pieces[0] if len(pieces) == 1 else b"".join(pieces), level)
        return b"".join(written)

    yield from in_order(compress, _portions(parts, BLOCKS * MAX_INPUT), workers)
    yield EOF_MARKER


def _portions(parts: Iterable[Any], size: int) -> Iterator[list[memoryview]]:
    """Yield the bytes of `parts` in portions of `size` bytes, as views, not copies; the last one may be shorter."""
    portion: list[memoryview] = []
    room = size
    for part in parts:
        view = memoryview(part)
        while len(view):
            portion.append(view[:room])
            view = view[room:]
            room -= len(portion[-1])
            if not room:
                yield portion
                portion, room = [], size
    if portion:
        yield portion


def _write_cram(
    blocks: Iterable[RecordBlock], header: Header, file: BinaryIO, reference: str | None, threads: int
) -> None:
    """Pipe the records as uncompressed BAM through a samtools process, and copy the CRAM that it writes."""
    from bams3.sources.htslib import local_reference
    from bams3.sources.process import SamtoolsProcess

    options = ["-T", local_reference(reference)] if reference else ["--output-fmt-option", "no_ref=1"]
    command = ["view", "-C", "--no-PG", "-@", str(threads - 1), *options, "-"]
    alignments = bam_bytes(blocks, header)
    with closing(SamtoolsProcess(command, "CRAM", "it can't be written", alignments)) as samtools:
        shutil.copyfileobj(samtools.stdout, file)
        samtools.check()


@contextmanager
def piped(parts: Iterable[Any]) -> Iterator[BinaryIO]:
    """Yield the reading end of a pipe into which a thread writes `parts`; the thread's errors are raised here."""
    readable, writable = os.pipe()
    with feeding(open(writable, "wb", buffering=0), parts), open(readable, "rb") as pipe:
        yield pipe


@contextmanager
def feeding(pipe: BinaryIO, parts: Iterable[Any]) -> Iterator[None]:
    """Write `parts` to `pipe` in a thread, and close it; the thread's errors are raised here.

    The other end of the pipe must be closed, or read to its end, before the context exits.
    """
    from bams3.sources.pipes import Feeder

    feeder = Feeder(pipe, parts)
    try:
        yield
    finally:
        feeder.join()
        left = isinstance(sys.exc_info()[1], GeneratorExit)  # the reader has seen enough
        if feeder.failure and not left:
            raise feeder.failure
