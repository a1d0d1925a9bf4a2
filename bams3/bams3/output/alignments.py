"""Records as SAM, BAM or CRAM: to a file, which appears whole or not at all, or to stdout."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from bams3.bam.header import Header
from bams3.output.files import open_output
from bams3.parallel.workers import Workers, in_order, watched
from bams3.select.query import RecordFilter, query
from bams3.shown import shown

if TYPE_CHECKING:
    from bams3.bam.records import RecordBlock
    from bams3.bam.regions import Region
    from bams3.dataset.reader import DatasetReader as Dataset

Format = Literal["sam", "sam.gz", "bam", "ubam", "cram"]
DEFAULT_LEVEL = 6

_INDEXES: dict[str, tuple[str, ...]] = {
    "sam.gz": (".csi", ".tbi", ".gzi"), "bam": (".bai", ".csi"), "ubam": (".bai", ".csi"), "cram": (".crai",),
}  # fmt: skip


def to_bam(
    dataset: Dataset,
    out: str | BinaryIO,
    regions: Iterable[Region] | None = None,
    *,
    record_filter: RecordFilter = RecordFilter(),  # noqa: B008 (immutable)
    level: int = DEFAULT_LEVEL,
    workers: int = 1,
    pg_line: bytes | None = None,
    overwrite: bool = False,
    progress: Callable[[int], Any] | None = None,
) -> None:
    """Write a dataset, or what overlaps regions, as BAM: header verbatim, records bit for bit.

    `progress` is called with numbers of records done. Raises UsageError if `out` exists, unless `overwrite`.
    """
    with Workers(workers) as shared:
        blocks = watched(query(dataset, regions, record_filter, shared), len, progress)
        write_alignments(
            blocks, dataset.header, out, format="bam", level=level, workers=shared, pg_line=pg_line,
            overwrite=overwrite,
        )  # fmt: skip


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
) -> None:
    """Write blocks of records in their order.

    `out`: a path, `-` for stdout, or a binary file. `with_header`: of SAM; the others always have theirs.
    `level`: of BGZF in BAM and `sam.gz`, 0 to 9; `ubam` is stored. `pg_line`: an @PG line to add to the header.
    `reference`: the FASTA file a CRAM is compressed against; without one it holds its bases itself.
    `workers`: threads that format or compress, or those that make the blocks too.
    `overwrite`: may `out` exist? Indexes beside what is replaced are removed.
    Raises UsageError for an `out` that may not be written, OSError if it can't be.
    """
    if pg_line is not None:
        text = _whole_lines(header.text) + pg_line.rstrip(b"\n") + b"\n"
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


def program_line(header: Header, command: list[str]) -> bytes:
    """An @PG line for a command (its words), with an ID of its own, after the last program of the header."""
    from bams3._version import __version__

    lines = [line for line in _whole_lines(header.text).split(b"\n") if line.startswith(b"@PG\t")]
    known = [field[3:] for line in lines for field in line.split(b"\t") if field.startswith(b"ID:")]
    candidates = (b"bams3" + (b".%d" % i if i else b"") for i in count())
    fields = [b"@PG", b"ID:" + next(name for name in candidates if name not in known), b"PN:bams3"]
    if known:
        fields.append(b"PP:" + known[-1])
    words = " ".join(shown(word.translate({ord("\t"): " ", ord("\n"): " "})) for word in command)
    return b"\t".join([*fields, f"VN:{__version__}".encode(), b"CL:" + words.encode()])


def _whole_lines(text: bytes) -> bytes:
    """Header text without NULs at its end, and with a newline there."""
    text = text.rstrip(b"\0")
    return text if text.endswith(b"\n") or not text else text + b"\n"


def sam_header(header: Header) -> bytes:
    """The header as SAM: its text, and @SQ lines for its references where the text has none."""
    text = _whole_lines(header.text)
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
    yield from in_order(lambda block: format_sam(block, names), blocks, workers)


def bam_bytes(blocks: Iterable[RecordBlock], header: Header) -> Iterator[Any]:
    """The bytes of a BAM file before compression."""
    yield header.to_bam()
    for block in blocks:
        yield memoryview(block.data)[block.offsets[0] : block.offsets[-1]]


def bgzf(parts: Iterable[Any], level: int, workers: int | Workers) -> Iterator[bytes]:
    """BGZF of the bytes of `parts`, whose bounds it ignores."""
    from bams3.output.bgzf import MAX_INPUT, compress_block
    from bams3.sources.bgzf import EOF_MARKER

    def compress(batch: list[memoryview]) -> bytes:
        view = batch[0] if len(batch) == 1 else memoryview(b"".join(batch))
        return b"".join(
            compress_block(view[i : i + MAX_INPUT], level) for i in range(0, len(view), MAX_INPUT)
        )

    yield from in_order(compress, _batches(parts, 16 * MAX_INPUT), workers)
    yield EOF_MARKER


def _batches(parts: Iterable[Any], size: int) -> Iterator[list[memoryview]]:
    """The bytes of `parts`, `size` of them at a time, where they lie; the last batch may be shorter."""
    batch: list[memoryview] = []
    room = size
    for part in parts:
        view = memoryview(part)
        while len(view):
            batch.append(view[:room])
            view = view[room:]
            room -= len(batch[-1])
            if not room:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


def _write_cram(
    blocks: Iterable[RecordBlock], header: Header, file: BinaryIO, reference: str | None, threads: int
) -> None:
    """Hand the records to samtools, a process of its own, as uncompressed BAM; copy the CRAM that it writes."""
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
    """The reading end of a pipe that a thread writes `parts` into; what fails there is raised here."""
    readable, writable = os.pipe()
    with feeding(open(writable, "wb", buffering=0), parts), open(readable, "rb") as pipe:
        yield pipe


@contextmanager
def feeding(pipe: BinaryIO, parts: Iterable[Any]) -> Iterator[None]:
    """A thread writes `parts` into `pipe`, and closes it; what fails there is raised here.

    The other end must be closed, or read to its end, before this ends.
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
