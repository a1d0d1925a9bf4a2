"""The containers of a CRAM file: checks that the file is complete, and counts of its records."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from bams3.errors import SourceError
from bams3.sources.bgzf import no_marker
from bams3.sources.feeds import Feed
from bams3.sources.inputs import Mapper
from bams3.sources.stream import Reader

MARKERS = {2: 30, 3: 38}
"""Length in bytes of the end-of-file container, by major version. htslib handles other versions."""


SHARED = -2
"""The reference id of a container with reads of several contigs."""


class CramBytes(Feed):
    """A CRAM file that is passed on unchanged. Its containers must be complete."""

    def __init__(self, reader: Reader, *, allow_truncated: bool | None = None) -> None:
        super().__init__(reader)
        self._allow_truncated = allow_truncated

    def portions(self, mapper: Mapper = map) -> Iterator[bytes]:
        containers: _Containers | None = _Containers(self.name)
        for portion in super().portions(mapper):
            if containers and not containers.go_on(portion):
                containers = None
            self.shares = containers is None or containers.shared
            yield portion
        if containers:
            self.records = containers.records
            self.truncated = not containers.end_whole()
            if self.truncated and not self._allow_truncated:
                raise no_marker(self.name, "CRAM", self._allow_truncated)


def has_marker(file: BinaryIO) -> bool:
    """Whether a seekable file ends with CRAM's end-of-file container."""
    major = file.read(_Containers.DEFINITION)[4:5]
    size = MARKERS.get(major[0]) if major else None
    if size is None:
        return True
    file.seek(max(_Containers.DEFINITION, file.seek(0, 2) - size))
    container = _parse_container(file.read(size), major[0])
    return bool(container and container.is_end and container.header + container.size == size)


class _Container(NamedTuple):
    """The header of a container. `header`: its length in bytes; `size`: the number of bytes that follow it.

    `is_shared`: whether it has reads of several contigs.
    """

    header: int
    size: int
    records: int
    is_end: bool
    is_shared: bool


class _Containers:
    """Steps over the containers of a CRAM file that arrives in portions."""

    DEFINITION = 26
    """Number of bytes before the first container: magic, version, file id."""
    MAX_HEADER = 1 << 16
    STEP = 256

    def __init__(self, name: str) -> None:
        self.records = 0
        self.shared = False  # whether a container has reads of several contigs
        self._name = name
        self._major = 0
        self._offset = 0  # offset of the container in the file
        self._begun = bytearray()  # start of a container's header, or of the file definition
        self._skip = 0
        self._at_end = False

    def go_on(self, portion: bytes) -> bool:
        """Step over the containers in the next portion; returns False if this version is unknown."""
        at = 0
        while at < len(portion):
            if self._skip:
                step = min(self._skip, len(portion) - at)
                self._skip -= step
                at += step
                continue
            self._begun += portion[at : at + self.STEP]
            at = min(at + self.STEP, len(portion))
            if not self._major:
                if len(self._begun) < self.DEFINITION:
                    continue
                self._major, used = self._begun[4], self.DEFINITION
                if self._major not in MARKERS:
                    return False
                self._offset = used
            else:
                first = self._offset == self.DEFINITION
                container = _parse_container(bytes(self._begun), self._major, of_header=first)
                if container is None:
                    if len(self._begun) > self.MAX_HEADER:
                        raise self._error("a container header is damaged")
                    continue
                if container.size < 0 or container.records < 0:
                    raise self._error("a container header is damaged")
                used, self._skip = container.header, container.size
                self.records += container.records
                self.shared = self.shared or container.is_shared
                self._at_end = container.is_end
                self._offset += used + container.size
            at -= len(self._begun) - used
            self._begun.clear()
        return True

    def end_whole(self) -> bool:
        """Tell whether the last container is the end-of-file container.

        Raises SourceError if a container is truncated.
        """
        if self._skip or self._begun:
            raise self._error("the file is truncated within a container")
        return self._at_end

    def _error(self, what: str) -> SourceError:
        return SourceError(f"{self._name}, near offset {self._offset}: {what}")


def _parse_container(data: bytes, major: int, *, of_header: bool = False) -> _Container | None:
    """Parse the container at the start of `data`; None if its header continues past the data.

    In version 2, htslib writes a size for the first container (`of_header`) that is too small, so the size of its block
    is used.
    """
    try:
        at = 4
        numbers = []
        for _ in range(4):  # reference, start, span, records
            number, at = _itf8(data, at)
            numbers.append(number)
        reference, start, _, records = numbers
        at = _after_ltf8(data, at) if major >= 3 else _itf8(data, at)[1]  # record counter
        at = _after_ltf8(data, at)  # bases
        _, at = _itf8(data, at)  # blocks
        landmarks, at = _itf8(data, at)
        for _ in range(landmarks):
            _, at = _itf8(data, at)
        at += 4 if major >= 3 else 0  # CRC-32
        size = int.from_bytes(data[:4], "little", signed=True)
        if of_header:
            size = max(size, _block_end(data, at, major) - at)
    except IndexError:
        return None
    if at > len(data):
        return None
    is_end = (reference, start, records) == (-1, 0x454F46, 0)
    return _Container(at, size, records, is_end, reference == SHARED)


def _block_end(data: bytes, at: int, major: int) -> int:
    """The end of a block that starts at `at`. Raises IndexError if its header runs past the end of the data."""
    _, at = _itf8(data, at + 2)  # skip method and type; then id
    size, at = _itf8(data, at)
    _, at = _itf8(data, at)
    return at + size + (4 if major >= 3 else 0)  # CRC-32


def _itf8(data: bytes, at: int) -> tuple[int, int]:
    """A 32-bit number and the offset of its end. Raises IndexError past the end of the data."""
    first = data[at]
    more = 0 if first < 0x80 else 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    end = at + 1 + more
    value = (first & 0xFF >> more + 1) if more < 4 else first & 0x0F
    for byte in (data[i] for i in range(at + 1, end)):
        value = value << 8 | byte
    if more == 4:  # only four bits of the last byte count
        value = value >> 8 << 4 | data[end - 1] & 0x0F
    return value - (1 << 32) if value >= 1 << 31 else value, end


def _after_ltf8(data: bytes, at: int) -> int:
    """The offset of the end of a 64-bit number."""
    return at + 1 + (8 - (data[at] ^ 0xFF).bit_length())
