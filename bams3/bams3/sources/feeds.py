"""Input for samtools, which is checked for completeness, and whose records are counted, while it is passed on."""

import re
from collections import deque
from collections.abc import Callable, Iterator

from bams3.errors import SourceError
from bams3.sources.inputs import Mapper
from bams3.sources.stream import Reader

KEPT_PORTIONS = 3  # samtools lags behind its input by fewer portions than this

Fields = list[bytes]
CHANGED: tuple[tuple[str, Callable[[Fields, bytes], bool]], ...] = (
    ("unrecognized reference name", lambda fields, name: fields[2] == name),
    ("unrecognized mate reference name", lambda fields, name: fields[6] == name),
    ("query cannot have zero coordinate", lambda fields, _: fields[2] != b"*" and fields[3] == b"0"),
    ("mate cannot have zero coordinate", lambda fields, _: fields[6] != b"*" and fields[7] == b"0"),
    ("query must have a CIGAR", lambda fields, _: fields[5] == b"*" and not _is_unmapped(fields[1])),
)
"""Parts of htslib's warnings about SAM lines that it changes, and tests for such lines (with the name in a warning)."""


def _is_unmapped(flag: bytes) -> bool:
    return flag.isdigit() and bool(int(flag) & 4)


class Feed:
    """A Reader of the input for samtools; this class passes on inflated BAM.

    `records`: the number of records that were passed on, known at the end; None if it can't be determined. `shares`:
    whether slices of a CRAM that were passed on may have reads of several contigs.
    """

    records: int | None = None
    truncated = False
    shares = False

    def __init__(self, reader: Reader) -> None:
        self.name = reader.name
        self._reader = reader

    def portions(self, mapper: Mapper = map) -> Iterator[bytes]:
        yield from self._reader.portions(mapper)
        self.truncated = self._reader.truncated

    def culprit(self, message: str) -> str | None:
        """The name of the record that a message of htslib refers to, if it can be determined."""
        return None


class SamText(Feed):
    """The text of a SAM file, whose last line must be complete."""

    records: int

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self.records = 0
        self._in_header = self._at_start = True  # of a line
        self._last: deque[bytes] = deque(maxlen=KEPT_PORTIONS)

    def portions(self, mapper: Mapper = map) -> Iterator[bytes]:
        for portion in super().portions(mapper):
            self._count(portion)
            self._last.append(portion)
            yield portion
        if not self._at_start:
            raise SourceError(
                f"{self.name}: the last line does not end with a newline, so the file may be truncated; "
                "add a newline if the line is complete, else get the file again"
            )

    def _count(self, portion: bytes) -> None:
        at = 0
        while self._in_header and at < len(portion):
            if self._at_start and portion[at : at + 1] != b"@":
                self._in_header = False
                break
            end = portion.find(b"\n", at)
            self._at_start, at = end >= 0, end + 1 or len(portion)
        if at < len(portion):
            self.records += portion.count(b"\n", at)
            self._at_start = portion.endswith(b"\n")

    def culprit(self, message: str) -> str | None:
        named = re.search(r'name "(.*?)";', message)
        name = named[1].encode() if named else b""
        is_it = next((is_it for part, is_it in CHANGED if part in message), None)
        for line in b"".join(self._last).split(b"\n") if is_it else ():
            fields = line.split(b"\t")
            if is_it and len(fields) > 10 and is_it(fields, name):
                return fields[0].decode("utf-8", "backslashreplace")
        return None
