"""Writing of records as SAM, BAM or CRAM, to standard output or to a file that appears complete or not at all."""

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
BLOCKS = 32  # number of BGZF blocks that a thread compresses at a time
AT_ONCE = 512  # number of records that are formatted as SAM at a time
HANDED = 2048  # the same if a thread formats them, because handing over fewer would take longer

_INDEXES: dict[str, tuple[str, ...]] = {
    "sam.gz": (".csi", ".tbi", ".gzi"), "bam": (".csi", ".bai"), "ubam": (".csi", ".bai"), "cram": (".crai",),
}  # fmt: skip
"""Suffixes of the indexes that a file may have. The first one is that of the index that
`samtools view --write-index` writes."""


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
    index: str | None = None,
) -> None:
    """Write blocks of records in order.

    Parameters
    ----------
    blocks
        RecordBlocks.
    header
        The header of the records.
    out
        A path or URI, `-` for standard output, or an open binary file.
    format
        The output format. `ubam` is uncompressed BAM.
    with_header
        Whether SAM has a header. The other formats always have one.
    level
        BGZF level of `bam` and `sam.gz`, 0 to 9.
    workers
        Number of threads that format or compress, or a pool that is shared with the producer of the blocks.
    pg_line
        An @PG line to add to the header.
    reference
        FASTA file against which a CRAM is compressed. Without it, the CRAM stores its bases itself.
    overwrite
        Replace `out` if it exists, and remove its indexes.
    index
        Path of an index to write: BAI if it ends so, otherwise as `samtools view --write-index` does. `out` must be the
        path of a local file.

    Raises
    ------
    UsageError
        If `out` may not be written.
    OSError
        If writing fails.
    """
    if index is not None:
        with _index_of(out, format, index, overwrite):
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
            _write_cram(blocks, header, file, reference, _count(workers))
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
    """Return the name of the index that `samtools view --write-index` writes next to `out`."""
    return out + _INDEXES[format][0]


@contextmanager
def _index_of(out: str | BinaryIO, format: Format, name: str, overwrite: bool) -> Iterator[None]:
    """Context manager: at the end, index the file that was written."""
    from bams3.sources.process import SamtoolsProcess

    if not isinstance(out, str) or is_remote(out) or out == "-" or is_special(out):
        raise UsageError("an index needs a local output file; give its name")
    options = [] if format == "cram" or name.endswith(".bai") else ["-c"]
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
    small = _small_blocks(blocks, AT_ONCE if _count(workers) == 1 else HANDED)
    yield from in_order(lambda block: format_sam(block, names), small, workers)


def _small_blocks(blocks: Iterable[RecordBlock], most: int) -> Iterator[RecordBlock]:
    """Yield the records in blocks so small that their text fits in the CPU's cache, and its memory is reused."""
    for block in blocks:
        for start in range(0, len(block), most):
            yield block[start : start + most]


def _count(workers: int | Workers) -> int:
    return workers.count if isinstance(workers, Workers) else workers


def bam_bytes(blocks: Iterable[RecordBlock], header: Header) -> Iterator[Any]:
    """Yield the bytes of a BAM file before compression."""
    yield header.to_bam()
    for block in blocks:
        yield memoryview(block.data)[block.offsets[0] : block.offsets[-1]]


def bgzf(parts: Iterable[Any], level: int, workers: int | Workers) -> Iterator[bytes]:
    """Yield the BGZF of the concatenated `parts`, with the end-of-file marker at the end."""
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
    """Yield the bytes of `parts` in portions of `size` bytes, as views without copying. The last one may be shorter."""
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
    """Context manager: yield the read end of a pipe into which a thread writes `parts`. Its errors are raised here."""
    readable, writable = os.pipe()
    with feeding(open(writable, "wb", buffering=0), parts), open(readable, "rb") as pipe:
        yield pipe


@contextmanager
def feeding(pipe: BinaryIO, parts: Iterable[Any]) -> Iterator[None]:
    """Context manager: write `parts` to `pipe` in a thread, which then closes it. Its errors are raised here.

    The other end of the pipe must be closed, or read to its end, before the context exits.
    """
    from bams3.sources.pipes import Feeder

    feeder = Feeder(pipe, parts)
    try:
        yield
    finally:
        feeder.join()
        left = isinstance(sys.exc_info()[1], GeneratorExit)  # the reader needs no more
        if feeder.failure and not left:
            raise feeder.failure
