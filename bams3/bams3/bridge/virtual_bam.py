"""A dataset as a BAM file and its index; only the parts that are read are made."""

from array import array
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, pairwise

from bams3.bridge.blocks import Stored, joined, lead_of, stored_size
from bams3.bridge.decoder import Decoder
from bams3.bridge.index import BAI_LONGEST, IndexedRecords, index_bytes
from bams3.bridge.row_groups import Decoded, RowGroups
from bams3.dataset import layout
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from bams3.sources.bgzf import EOF_MARKER

LAYOUT = b"4"
"""Must be changed whenever the same dataset gives different bytes than before."""


def index_kind(dataset: DatasetReader) -> str:
    """Return the default kind of index for a dataset's virtual BAM: "bai", or "csi" if a contig is too long for BAI."""
    return "bai" if all(length <= BAI_LONGEST for _, length in dataset.references) else "csi"


class VirtualBam:
    """The BAM file of a dataset: its header, its records in its order, and the end-of-file marker, in stored blocks.

    The header and every row group begin a new block, so all offsets, and a BAM index, follow from the chunk index. The
    first row group is stored apart from the header, so that reading the header does not decode it. The same dataset
    always gives the same bytes. Thread-safe.

    Attributes
    ----------
    size : int
        Length in bytes.
    row_groups : RowGroups
        The row groups of the dataset.
    """

    def __init__(
        self, dataset: DatasetReader, decoder: Decoder[Decoded] | None = None, *, once: bool = False
    ) -> None:
        """`decoder` has the threads and memory, which several virtual BAMs can share; `once` is as in `RowGroups`.
        Raises FormatError if the dataset is damaged."""
        self._dataset = dataset
        self.row_groups = RowGroups(dataset, decoder or Decoder(), once=once)
        header = dataset.header.to_bam()
        sizes = [len(header), *self.row_groups.sizes]
        lengths = (stored_size(size, apart=section == 1) for section, size in enumerate(sizes))
        self._starts = array("Q", accumulate(lengths, initial=0))
        self.size = self._starts[-1] + len(EOF_MARKER)
        self._head = bytes(Stored(header)) + b"".join(map(lead_of, self.row_groups.sizes[:1]))

    @property
    def header(self) -> bytes:
        """The blocks of the header: the first bytes of the file."""
        return self._head[: self._starts[1]]

    @property
    def head(self) -> int:
        """The number of bytes at the start of the file that do not depend on records."""
        return len(self._head)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on, or fewer at the end of the file. Raises the errors of `portions`."""
        return joined(self.portions(offset, length))

    def portions(self, offset: int, length: int) -> list[bytes | Stored]:
        """Return the bytes that `read` returns, in portions. `Stored` portions are made later, from records.

        Raises FormatError if a row group is damaged, OSError if it can't be read, and DatasetError if the dataset has
        been replaced.
        """
        end = min(offset + length, self.size)
        found: list[bytes | Stored] = []
        while offset < end:
            found += (some := self._portions(offset, end))
            offset += sum(map(len, some))
        return found

    def read_some(self, offset: int, length: int) -> bytes:
        """Like `read`, but only up to the end of `head` or of a row group, so that it does not wait for the next
        one."""
        return joined(self._portions(offset, min(offset + length, self.size)))

    def at_hand(self, offset: int, length: int) -> bytes:
        """Like `read_some`, but never waits: if a row group has to be decoded, start that and return no bytes."""
        return joined(self._portions(offset, min(offset + length, self.size), wait=False))

    def _portions(self, offset: int, end: int, *, wait: bool = True) -> list[bytes | Stored]:
        """The bytes [offset, end), as far as they are in one section: the head, a row group, or the marker."""
        if offset < len(self._head):
            return [self._head[offset:end]]
        section = bisect_right(self._starts, offset) - 1
        start = self._starts[section]
        if section + 1 == len(self._starts):
            return [EOF_MARKER[offset - start : end - start]]
        start, stop = offset - start, min(end, self._starts[section + 1]) - start
        records = self.row_groups.records if wait else self.row_groups.records_at_hand
        data = records(section - 1)
        return [] if data is None else [Stored(data, start, stop, apart=section == 1)]

    def place(self, number: int) -> tuple[int, int]:
        """Return where the blocks of a row group are in the file, [start, end), by its number in the dataset."""
        return self._starts[number + 1], self._starts[number + 2]

    def index(self, kind: str) -> bytes:
        """Return the bytes of the index file, "bai" or "csi". Raises UsageError if a contig is too long for BAI."""
        if kind not in ("bai", "csi"):
            raise UsageError(f"index {kind!r}: give bai or csi")
        if kind == "bai" and index_kind(self._dataset) == "csi":
            raise UsageError(f"{self._dataset.uri}: a contig is too long for a BAI index; use CSI")
        counts = self._dataset.manifest.counts.by_reference
        return index_bytes(kind, self._runs(), self._dataset.references, counts)

    def _runs(self) -> dict[int, list[IndexedRecords]]:
        """Where the records of each reference are, by row group."""
        found: dict[int, list[IndexedRecords]] = {}
        tiles, places, number = self._dataset.tiles, pairwise(self._starts[1:]), 0
        for entry in self._dataset.index:
            runs = found.setdefault(entry.reference_id, [])
            for _, size, start, _, end, *_ in entry.row_groups:  # see `ZoneMap`
                runs.append(
                    IndexedRecords(
                        start, end, *next(places), size, tiles[number] if tiles else (), number == 0
                    )
                )
                number += 1
        return found

    @cached_property
    def etag(self) -> str:
        """A strong validator: hexadecimal digits that change whenever the dataset is replaced by a different one."""
        from hashlib import sha256

        checksums = array("I", (entry.footer_crc32 for entry in self._dataset.index))
        return sha256(self._dataset.manifest.to_bytes() + checksums.tobytes() + LAYOUT).hexdigest()[:32]

    @cached_property
    def modified(self) -> float:
        """When the dataset was written, in seconds since the epoch. Raises OSError."""
        return self._dataset.storage.modified(layout.METADATA)
