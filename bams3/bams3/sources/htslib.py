"""SAM and CRAM, which htslib converts to blocks of BAM records.

bams3 reads the file, checks that it is complete, and pipes it into samtools, which writes uncompressed BAM to another
pipe, from which bams3 reads the records. Only reading by window is left to samtools.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, BinaryIO

from bams3.bam.records import RecordBlock
from bams3.errors import SourceError
from bams3.inflate import whole_lines
from bams3.sources.bgzf import BlockReader, no_marker
from bams3.sources.cram import has_marker
from bams3.sources.feeds import Feed
from bams3.sources.files import WINDOWS, LocalInput, expect_again, expect_regular, input_at, name_beside
from bams3.sources.inputs import IndexCounts, Input, Mapper, source_error
from bams3.sources.messages import END_MISSING, TRUNCATED, show
from bams3.sources.process import SamtoolsProcess
from bams3.sources.sequences import Sequences, contigs_in_shared_slices, contigs_of
from bams3.sources.stream import read_header, record_blocks
from bams3.storage import is_remote

VIEW = ["view", "-u", "-h", "--no-PG"]


class HtslibSource:
    """A SAM or CRAM file (`kind`). See `Source`.

    `feed` converts the file to the input of samtools. `file` is the open file, at its start, for the first reading.
    Files that htslib opens itself must be local: the reference and, for windows, the CRAM and its index.
    """

    def __init__(
        self, alignments: Input, kind: str, feed: Callable[[BinaryIO], Feed], file: BinaryIO, *,
        index: str | None = None, reference: str | None = None, allow_truncated: bool | None = None,
    ) -> None:  # fmt: skip
        self.path = alignments.name
        self.truncated = False
        self._alignments = alignments
        self._kind = kind
        self._feed = feed
        self._index = index and local_file(index)
        self._reference = reference and local_reference(reference)
        self._allow_truncated = allow_truncated
        self._running: set[_View] = set()
        self._marker_checked = False
        try:
            view = self._whole(file)
            self.header, rest = read_header(view)
        except BaseException:
            self.close()
            raise
        self._sequences = Sequences(self.path, self._reference, self.header)
        self._unread: tuple[_View, bytes] | None = (view, rest)

    @property
    def once(self) -> bool:
        return self._alignments.once

    def blocks(self, mapper: Mapper = map, *, ordered: bool = True) -> Iterator[RecordBlock]:
        if self._unread:
            (view, rest), self._unread = self._unread, None
        else:
            expect_again(self._alignments, "it must be read a second time")
            view = self._whole()
            rest = read_header(view)[1]
        yield from self._records(view, rest, mapper, ordered)

    def window(self, reference_id: int, start: int, end: int, mapper: Mapper = map) -> Iterator[RecordBlock]:
        self._check_windows()
        self._sequences.check(self._in_shared_slices & {reference_id})
        if start == 0 and self._lacks_positions(reference_id):
            # htslib does not find these records in any region of a CRAM, so the whole file is searched.
            yield from self._region(None, mapper, "-e", f"refid == {reference_id} && pos <= {end}")
        else:
            # The region gives the reads that overlap; the filter keeps those that start in the window.
            region = f"{{{self.header.references[reference_id][0]}}}:{start + 1}-{end}"
            yield from self._region(region, mapper, "-e", f"pos > {start} && pos <= {end}")

    def unplaced(self, mapper: Mapper = map) -> Iterator[RecordBlock]:
        yield from self._region("*", mapper)

    def will_read(self, windows: Sequence[tuple[int, int, int]]) -> None:
        self._check_windows()

    def counts(self) -> IndexCounts | None:
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
        """Tell whether, by the CRAI, some records of a reference have no position, because a slice starts at POS 0."""
        return any(line.split(b"\t", 2)[:2] == [b"%d" % reference_id, b"0"] for line in self._index_lines)

    @cached_property
    def _in_shared_slices(self) -> set[int]:
        return contigs_in_shared_slices(self._index_lines)

    @cached_property
    def _index_lines(self) -> Sequence[bytes]:
        """The lines of the CRAI; none if it does not exist."""
        path = self._index or f"{self.path}.crai"
        try:
            data = input_at(path).read_small()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise source_error(error) from None
        try:
            return [line for text in whole_lines(io.BytesIO(data)) for line in text.splitlines()]
        except OSError as error:
            raise SourceError(f"{path}: {error}; recreate it with samtools index") from None

    def _region(self, region: str | None, mapper: Mapper, *options: str) -> Iterator[RecordBlock]:
        self._check_windows()
        files = ["-X", self.path, self._index] if self._index and region else [self.path]
        view = self._view([*VIEW, *self._options(), *options, *files, *([region] if region else [])])
        yield from self._records(view, read_header(view)[1], mapper)

    def _check_windows(self) -> None:
        expect_again(self._alignments, WINDOWS)
        if self._kind != "CRAM":
            raise SourceError(f"{self.path}: SAM cannot be read by window; use a BAM or CRAM file")
        if self._alignments.remote:
            raise SourceError(
                f"{self.path}: CRAM in object storage cannot be read by window; convert all of it at once, copy it to "
                "a local file, or convert it to BAM (samtools view -b)"
            )
        if not self._marker_checked:
            for suffix in () if self._index else ("", ".cram"):  # where htslib looks for an index
                expect_regular(name_beside(self.path, ".crai", suffix))
            with self._alignments.open() as file:
                missing = not has_marker(file)
            if missing and not self._allow_truncated:
                raise no_marker(self.path, "CRAM", self._allow_truncated)
            self._marker_checked = True
            self._note(missing)

    def _records(
        self, view: "_View", rest: bytes, mapper: Mapper, ordered: bool = True
    ) -> Iterator[RecordBlock]:
        records = 0
        try:
            for block in record_blocks(view, self.header, rest, mapper, ordered=ordered):
                records += len(block)
                if view.shares:
                    self._sequences.check(contigs_of(block))
                yield block
            view.check_records(records)
            self._note(view.truncated)
        except SourceError:
            view.heed()  # a warning about a record may explain the error in its bytes
            raise
        finally:
            view.close()
            self._running.discard(view)

    def _note(self, truncated: bool) -> None:
        if truncated and not self.truncated:
            self.truncated = True
            show(self.path, TRUNCATED)

    def _whole(self, file: BinaryIO | None = None) -> "_View":
        return self._view([*VIEW, *self._options(), "-"], file or self._alignments.open())

    def _options(self) -> list[str]:
        words = ["-T", self._reference] if self._reference else []
        if (
            self._kind == "CRAM"
        ):  # htslib names reads that have lost their names after the file, which may be a pipe
            words += ["--input-fmt-option", f"name_prefix={os.path.basename(self.path)}"]
        return words

    def _view(self, command: list[str], file: BinaryIO | None = None) -> "_View":
        feed = self._feed(file) if file else None
        view = _View(self.path, command, feed, file, self._allow_truncated)
        self._running.add(view)
        return view


class _View:
    """A Reader of the BAM that samtools writes, from `feed` (which reads `file`) or from a file in its command."""

    def __init__(
        self, name: str, command: list[str], feed: Feed | None, file: BinaryIO | None,
        allow_truncated: bool | None,
    ) -> None:  # fmt: skip
        self.name = name
        self._feed, self._file, self._allow_truncated = feed, file, allow_truncated
        self._process = SamtoolsProcess(
            command, name, "htslib cannot read it", feed.portions() if feed else None, refused=self._refused,
            allow_truncated=allow_truncated,
        )  # fmt: skip
        self._blocks = BlockReader(self._process.stdout, name=name)

    @property
    def truncated(self) -> bool:
        return self._process.truncated or (self._feed is not None and self._feed.truncated)

    @property
    def shares(self) -> bool:
        """Whether slices may have reads of several contigs."""
        return self._feed is not None and self._feed.shares

    def portions(self, mapper: Mapper = map, made: Callable[[bytes], Any] = bytes) -> Iterator[Any]:
        try:
            yield from self._blocks.portions(mapper, made)
        except SourceError:
            self._process.check()  # samtools can tell why its output is truncated
            raise
        self._process.check()

    def check_records(self, records: int) -> None:
        """Raise SourceError unless samtools wrote as many records (`records`) as it read."""
        if self._feed and self._feed.records not in (None, records):
            raise SourceError(
                f"{self.name}: htslib read {records} records, but the file has {self._feed.records}; it is damaged"
            )

    def heed(self) -> None:
        """Raise SourceError if htslib has reported that data are lost."""
        self._process.heed()

    def close(self) -> None:
        """End the process, whether or not all of its output has been read."""
        self._process.close()
        if self._file:
            self._file.close()

    def _refused(self, said: str) -> SourceError:
        if END_MISSING in said:
            return no_marker(self.name, "its format", self._allow_truncated)
        record = self._feed.culprit(said) if self._feed else None
        where = f"record {record}: " if record else ""
        return SourceError(
            f"{self.name}: {where}htslib would change or lose data ({said}); correct the file, or convert the output "
            "of samtools view -b instead"
        )


def local_reference(path: str) -> str:
    """Like `local_file`, for a reference. htslib finds and opens the indexes next to it."""
    name = local_file(path)
    for ending in (".fai", ".gzi"):
        expect_regular(name + ending)
    return name


def local_file(path: str) -> str:
    """The path of a reference or an index that htslib opens itself. Raises SourceError if it is not local."""
    if is_remote(path):
        raise SourceError(
            f"{input_at(path).name}: htslib reads only local files; download it and use the copy"
        )
    expect_again(path, "htslib reads parts of it in any order")
    return LocalInput(path).name
