"""The records of a dataset's row groups, decoded when they are read, or in advance for readers who read in order."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from bams3.bam.records import RecordBlock
from bams3.bridge.decoder import Decoder
from bams3.chunk.entry import ChunkEntry
from bams3.chunk.reader import ChunkReader
from bams3.chunk.row_group import RowGroup
from bams3.chunk.tiles import tiles_of
from bams3.codec import ZoneMap, names, qualities, records, reference, sequences, tags  # noqa: F401 - not while readers wait
from bams3.dataset.prefetch import plan_all
from bams3.dataset.reader import DatasetReader
from bams3.dataset.tiles import WRONG_TILES
from bams3.errors import FormatError

_RECORDS, _BYTES = map(ZoneMap._fields.index, ("records", "bytes"))
READERS = 64  # readers in order that are known at once
BEHIND = 4  # row groups that are kept behind a reader who reads in order and does not come back
CHUNKS = 64  # chunks whose footers are kept


class Decoded(NamedTuple):
    """The records of a row group, and where they are: POS and ends, 0-based, shape (n,)."""

    block: RecordBlock
    pos: array[int]
    end: array[int]

    @property
    def data(self) -> memoryview:
        """The bytes of all records, in BAM encoding, read-only."""
        offsets = self.block.offsets
        return memoryview(self.block.data)[offsets[0] : offsets[-1]].toreadonly()


class RowGroups:
    """The row groups of a dataset by number, in the order of its records.

    `places` has the chunk of each row group, and its number there; `sizes`, the bytes of its records; `ahead` is the
    number of row groups that are decoded in advance.
    """

    def __init__(self, dataset: DatasetReader, decoder: Decoder[Decoded], *, once: bool = False) -> None:
        """`once` means that readers who read in order keep the bytes, as the kernel does, and do not read them
        again."""
        self._dataset, self._decoder, self.ahead, self._once = dataset, decoder, decoder.workers, once
        self.places = [(entry, number) for entry in dataset.index for number in range(len(entry.row_groups))]
        self.sizes = [row[_BYTES] for entry in dataset.index for row in entry.row_groups]
        # The memory that each row group takes when it is decoded.
        self._held = [
            row[_BYTES] + 16 * row[_RECORDS] + 8 for entry in dataset.index for row in entry.row_groups
        ]
        self._lock = threading.Lock()
        self._chunks: OrderedDict[str, ChunkReader] = OrderedDict()
        self._firsts: OrderedDict[int, int] = OrderedDict()

    def records(self, number: int) -> memoryview:
        """Return the bytes of a row group's records, for a reader of the file. If it reads in order, the next row
        groups are decoded in advance. Raises the errors of `decoded`."""
        return self._in_order(number).result().data

    def records_at_hand(self, number: int) -> memoryview | None:
        """Like `records`, but if the row group has to be decoded, start that and return None."""
        future = self._in_order(number)
        return future.result().data if future.done() else None

    def decoded(self, number: int, following: Sequence[int] = ()) -> Decoded:
        """Return a decoded row group. `following` has those that will be requested next; they are also decoded, if
        there is room.

        Raises FormatError if it is damaged, OSError if it can't be read, and DatasetError if the dataset has been
        replaced.
        """
        return self._begun(number, following).result()

    def _in_order(self, number: int) -> Future[Decoded]:
        return self._begun(number, range(number + 1, number + 1 + self._ahead(number)))

    def _begun(self, number: int, following: Sequence[int]) -> Future[Decoded]:
        future = self._submit(number)
        room = self._decoder.limit - self._held[number]
        for after in following:
            room -= self._held[after]
            if room < 0:
                break
            self._submit(after)
        return future

    def _submit(self, number: int) -> Future[Decoded]:
        return self._decoder.submit((self, number), self._held[number], lambda: self._decoded(number))

    def _ahead(self, number: int) -> int:
        """The number of row groups after this one to decode in advance: at most one for each worker.

        It is one less than the number of row groups that were read in order before this one. (A program that reads only
        a region also reads the header, with the first row group in the same pages, and perhaps the next row group.)
        """
        with self._lock:
            first = self._firsts.pop(number, None)
            if first is None:
                first = self._firsts.pop(number - 1, number)
            self._firsts[number] = first
            if len(self._firsts) > READERS:
                self._firsts.popitem(last=False)
        if self._once and number - first >= BEHIND:
            self._decoder.drop((self, number - BEHIND))
        return min(max(number - first - 1, 0), self.ahead, len(self.sizes) - 1 - number)

    def _decoded(self, number: int) -> Decoded:
        try:
            group = self.group(number)
            for (fetched,) in self._dataset.fetched([(group,)], plan_all):
                fetched.load()
            decoded = Decoded(group.block(), group.pos, group.end)
            tiles = None if group.chunk.contigs else self._dataset.tiles
            if tiles and tiles[number] != tiles_of(decoded.block, (decoded.pos, decoded.end)):
                # The BAM index was made from the stored tiles.
                raise FormatError(f"{group.name}: {WRONG_TILES}")
            return decoded
        except (FormatError, OSError):
            self._dataset.check_current()
            raise

    def group(self, number: int) -> RowGroup:
        """Return a row group of which nothing has been read yet."""
        entry, place = self.places[number]
        return next(group for group in self._chunk(entry).row_groups if group.number == place)

    def _chunk(self, entry: ChunkEntry) -> ChunkReader:
        with self._lock:
            chunk = self._chunks.pop(entry.path, None) or self._dataset.chunk(entry)
            self._chunks[entry.path] = chunk
            if len(self._chunks) > CHUNKS:
                self._chunks.popitem(last=False)
            return chunk
