"""SAM and CRAM through htslib, turned into the same blocks of BAM records; and sorting.

samtools writes BAM that is not compressed into a pipe, and our own reader takes it from there.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from bams3.errors import SourceError
from bams3.inflate import whole_lines
from bams3.sources import Counts, Mapper
from bams3.sources.bgzf import BlockReader
from bams3.sources.files import WINDOWS, Input, LocalInput, expect_again, input_at, source_error
from bams3.sources.records import RecordBlock
from bams3.sources.stream import read_header, record_blocks
from bams3.storage import is_remote

SAMTOOLS = [sys.executable, "-m", "bams3.sources.samtools"]
SORT_MEMORY = "192M"
LOG_PREFIX = re.compile(r"^(\[[EW]::\w+\]|samtools \w+:) *", re.MULTILINE)


class HtslibSource:
    """A SAM file, plain or compressed, or a CRAM file (`kind` says which). See `Source`.

    `file`, if given, is what can be opened only once, at its start. htslib reads local files and pipes only: what is
    in an object store is read by us and piped into it, whole.
    """

    def __init__(
        self,
        alignments: Input,
        kind: str,
        *,
        file: BinaryIO | None = None,
        index: str | None = None,
        reference: str | None = None,
    ) -> None:
        self.path = alignments.name
        self._alignments = alignments
        self._kind = kind
        self._index = index and local_file(index)
        self._reference = reference and local_file(reference)
        self._running: list[_View] = []
        view = self._whole(file)
        self.header, rest = read_header(view)
        self._unread: tuple[_View, bytes] | None = (view, rest)

    def blocks(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        if self._unread:
            (view, rest), self._unread = self._unread, None
        else:
            expect_again(self._alignments, "it is needed once more")
            view = self._whole()
            rest = read_header(view)[1]
        yield from self._records(view, rest, mapper)

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        if start == 0 and self._lacks_positions(reference_id):
            # htslib finds these in no region of a CRAM, so all of the file is searched.
            yield from self._region(None, mapper, "-e", f"refid == {reference_id} && pos <= {end}")
        else:
            # The region is what overlaps; of that, what starts in the window.
            region = f"{{{self.header.references[reference_id][0]}}}:{start + 1}-{end}"
            yield from self._region(region, mapper, "-e", f"pos > {start} && pos <= {end}")

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        yield from self._region("*", mapper)

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        self._check_windows()

    def counts(self) -> Counts | None:
        return None  # CRAI does not count records

    def sizes(self, windows: Sequence[tuple[int, int, int]]) -> list[int]:
        return [0] * len(windows)

    def close(self) -> None:
        for view in self._running:
            view.close()
        self._running.clear()
        self._alignments.close()

    def __enter__(self) -> "HtslibSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lacks_positions(self, reference_id: int) -> bool:
        """Whether, by the CRAI, some records of a reference have no position: a slice begins at POS 0."""
        path = self._index or f"{self.path}.crai"
        if self._kind != "CRAM":
            return False
        try:
            data = input_at(path).read_small()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise source_error(error) from None
        try:
            lines = (line for text in whole_lines(io.BytesIO(data)) for line in text.splitlines())
            return [b"%d" % reference_id, b"0"] in (line.split(b"\t", 2)[:2] for line in lines)
        except OSError as error:
            raise SourceError(f"{path}: {error}; make it again with samtools index") from None

    def _region(self, region: str | None, mapper: Mapper, *options: str) -> Iterator[RecordBlock]:
        self._check_windows()
        files = ["-X", self.path, self._index] if self._index and region else [self.path]
        view = self._view([*options, *files, *([region] if region else [])])
        yield from self._records(view, read_header(view)[1], mapper)

    def _check_windows(self) -> None:
        expect_again(self._alignments, WINDOWS)
        if self._kind != "CRAM":
            raise SourceError(f"{self.path}: SAM can't be read by window; give a BAM or CRAM file")
        if self._alignments.remote:
            raise SourceError(
                f"{self.path}: CRAM can't be read by window in object storage; convert all of it at once, copy it to a "
                "local file, or make a BAM of it (samtools view -b)"
            )

    def _records(self, view: "_View", rest: bytes, mapper: Mapper) -> Iterator[RecordBlock]:
        try:
            yield from record_blocks(view, self.header, rest, mapper)
        finally:
            view.close()
            self._running.remove(view)

    def _whole(self, file: BinaryIO | None = None) -> "_View":
        if self._alignments.remote:
            file = self._alignments.open()
        return self._view(["-" if file else self.path], file=file)

    def _view(self, arguments: list[str], *, file: BinaryIO | None = None) -> "_View":
        reference = ["-T", self._reference] if self._reference else []
        view = _View(self.path, [*reference, *arguments], file)
        self._running.append(view)
        return view


class SamtoolsProcess:
    """A running samtools: `stdin` (if asked for), `stdout`, and what it says. `feed`: a file to be its input."""

    def __init__(
        self, arguments: list[str], *, with_input: bool = True, feed: BinaryIO | None = None
    ) -> None:
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*SAMTOOLS, *arguments],
            stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        self.stdin = cast(BinaryIO, self._process.stdin)
        self.stdout = cast(BinaryIO, self._process.stdout)
        self._input_failure: Exception | None = None
        if feed:
            threading.Thread(target=self._copy, args=(feed,), daemon=True).start()

    def check(self, what: str) -> None:
        """Once its output has ended: raise SourceError if its input could not be read, or with samtools' first
        messages if it failed."""
        failed = self._process.wait()
        if self._input_failure:
            raise SourceError(str(self._input_failure)) from None
        if failed:
            self._messages.seek(0)
            raise SourceError(f"{what}: {_reason(self._messages.read())}")

    def close(self) -> None:
        """End the process, whether or not all of its output was wanted."""
        self._process.kill()
        self._process.wait()
        self.stdout.close()
        self._messages.close()

    def _copy(self, file: BinaryIO) -> None:
        try:
            with self.stdin as pipe:
                try:
                    while part := file.read(1 << 16):
                        pipe.write(part)
                except BrokenPipeError:
                    raise
                except (OSError, SourceError) as error:
                    # It is known before the pipe's end is: what samtools made of a part is not taken for all.
                    self._input_failure = error
        except BrokenPipeError:
            pass  # samtools ended early, and says why


class _View:
    """A Reader of the BAM that `samtools view` makes of a file; `file` is its standard input, if given."""

    def __init__(self, name: str, arguments: list[str], file: BinaryIO | None) -> None:
        self.name = name
        command = ["view", "-u", "-h", "--no-PG", *arguments]
        self._process = SamtoolsProcess(command, with_input=file is not None, feed=file)
        self._blocks = BlockReader(self._process.stdout, name=name)

    def pieces(self, mapper: Mapper = map) -> Iterator[bytes]:
        try:
            yield from self._blocks.pieces(mapper)
        except SourceError:
            self._check()  # samtools knows better why its output is cut short
            raise
        self._check()

    def close(self) -> None:
        """End the process, whether or not all of its output was wanted."""
        self._process.close()

    def _check(self) -> None:
        self._process.check(f"{self.name}: htslib can't read it")


def sort(path: str, out: str, *, reference: str | None = None, threads: int = 1) -> None:
    """Sort alignments of any format by coordinate into a BAM file. Raises SourceError if htslib can't."""
    options = [
        "--no-PG",
        "-@",
        str(threads - 1),
        "-m",
        SORT_MEMORY,
        "-l",
        "1",
        "-O",
        "bam",
        "-T",
        f"{out}.tmp",
    ]
    if reference:
        options += ["--reference", local_file(reference)]
    alignments = input_at(path)
    piped = alignments.open() if alignments.remote or alignments.once else None
    arguments = ["sort", *options, "-o", out, "-" if piped else alignments.name]
    process = SamtoolsProcess(arguments, with_input=piped is not None, feed=piped)
    try:
        process.check(f"{alignments.name}: samtools can't sort it")
    finally:
        process.close()
        alignments.close()


@contextmanager
def sorted_copy(path: str, *, reference: str | None = None, threads: int = 1) -> Iterator[str]:
    """Context: the path of a temporary BAM file with the records of `path`, sorted by coordinate."""
    with tempfile.TemporaryDirectory(prefix="bams3-sort-") as folder:
        out = os.path.join(folder, "sorted.bam")
        sort(path, out, reference=reference, threads=threads)
        yield out


def local_file(path: str) -> str:
    """The path of a reference or an index for htslib, which opens it itself. Raises SourceError if it can't."""
    if is_remote(path):
        raise SourceError(
            f"{input_at(path).name}: htslib is given local files only; copy it, and give the copy"
        )
    expect_again(path, "htslib reads it wherever it needs to")
    return LocalInput(path).name


def _reason(messages: bytes) -> str:
    """One line of what samtools wrote to its standard error: the first two messages say most."""
    lines = LOG_PREFIX.sub("", messages.decode("utf-8", "replace")).splitlines()
    return "; ".join([line for line in lines if line][:2]) or "it crashed"
