"""Writing a dataset in pieces: a plan, parts, a commit.

Any process may write the chunks of any windows and leave a part file that lists them. `commit`
checks that the parts make a whole, and writes index and manifest: from then on the dataset exists.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, TypeVar

from bams3.codec import ENCODINGS
from bams3.dataset import layout
from bams3.dataset.layout import Window
from bams3.dataset.manifest import (
    VERSION,
    ChunkEntry,
    Counts,
    Manifest,
    check_grid,
    check_seal,
    header_id,
    index_to_bytes,
    is_count,
    sealed,
)  # fmt: skip
from bams3.errors import DatasetError
from bams3.storage import Storage

PLAN = f"{layout.PARTS}/plan.json"

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Plan:
    """What all parts of a dataset have in common."""

    header_id: str
    references: list[list[Any]]
    chunk_size: int
    level: int
    header_bytes: int
    header_crc32: int
    version: int = VERSION

    @classmethod
    def of(cls, header: Any, chunk_size: int, level: int) -> "Plan":
        """The plan for a source with this Header."""
        return cls(
            header_id(header), [list(reference) for reference in header.references], chunk_size, level,
            len(header.text), zlib.crc32(header.text),
        )  # fmt: skip

    def windows(self) -> list[Window]:
        """The grid."""
        return list(layout.grid([(name, length) for name, length in self.references], self.chunk_size))

    def chunk_path(self, reference_id: int, start: int) -> str:
        """Path of the chunk of a window, or (reference id −1) of the `start`-th of reads with no position."""
        if reference_id == layout.UNPLACED:
            return layout.unplaced_path(start)
        return layout.chunk_path(self.references[reference_id][0], start, start + self.chunk_size)


@dataclass
class Part:
    """Some windows of a dataset, done. `source_counts`: by reference id, records that the source's index
    says there are, where it says so."""

    windows: list[Window]
    chunks: list[ChunkEntry] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts.zero)
    source_counts: dict[int, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As a part file holds it: JSON."""
        document = {
            "windows": layout.runs(self.windows),
            "counts": self.counts.to_json(),
            "source_counts": sorted(self.source_counts.items()),
            "chunks": self.chunks,
        }
        return sealed(document)

    @classmethod
    def from_bytes(cls, data: bytes, plan: Plan, name: str) -> "Part":
        """Parse a part file. Raises DatasetError where it is damaged."""
        try:
            document = json.loads(data)
            check_seal(document, data)
            part = cls(
                [window for run in document["windows"] for window in _cells(run, plan.chunk_size)],
                [ChunkEntry(*chunk) for chunk in document["chunks"]],
                Counts.from_json(document["counts"]),
                dict(document["source_counts"]),
            )
            part._check(len(plan.references))
            return part
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DatasetError(
                f"{name}: damaged part file ({error}); delete it and convert its windows again"
            ) from error

    def _check(self, references: int) -> None:
        """Raise ValueError for values that no part has."""
        self.counts.check(references)
        for chunk in self.chunks:
            chunk.check(references)
        for reference_id, count in self.source_counts.items():
            if type(reference_id) is not int or not -1 <= reference_id < references or not is_count(count):
                raise ValueError("impossible counts of the source")


def _cells(run: list[int], chunk_size: int) -> list[Window]:
    reference_id, first, end = run
    if not all(type(number) is int and -1 <= number < 1 << 32 for number in run):
        raise ValueError(f"impossible windows {run}")
    if reference_id == layout.UNPLACED:
        return [Window(*run)]
    return [Window(reference_id, start, start + chunk_size) for start in range(first, end, chunk_size)]


def write_plan(
    storage: Storage, plan: Plan, header_text: bytes, *, join: bool, replace: bool = False
) -> None:
    """Begin a dataset, or `join` one that was begun, even if with another plan, which this one is to `replace`.

    Raises DatasetError if it was begun with another plan, or may not be joined.
    """
    document = sealed(asdict(plan))
    try:
        storage.put_new(PLAN, document)
    except FileExistsError:
        if not join:
            raise DatasetError(
                f"{storage.root}: another writer has begun it; wait for it, or use --resume if it has ended"
            ) from None
        if not _is_plan(storage, document):
            if not replace:
                raise DatasetError(
                    f"{storage.root}: begun from another file or with another chunk size or level; "
                    "use the same for all parts, or --overwrite"
                ) from None
            storage.put(PLAN, document)
    storage.put(layout.HEADER, header_text)  # whoever wrote the plan may have been stopped before this


def _is_plan(storage: Storage, document: bytes) -> bool:
    """Is a document the plan that is there? One that differs is read once more: perhaps it was cut on its way."""
    return any(storage.get(PLAN) == document for _ in range(2))


def _read(storage: Storage, path: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """What an object holds. One that is damaged is read once more: perhaps it was so on its way."""
    try:
        return parse(storage.get(path))
    except DatasetError:
        return parse(storage.get(path))


def read_plan(storage: Storage) -> Plan:
    """The plan of a dataset in the making. Raises DatasetError if there is none."""
    try:
        return _read(storage, PLAN, lambda data: _parse_plan(data, storage.root))
    except FileNotFoundError:
        raise DatasetError(
            f"{storage.root}: no parts to merge; run bams3 convert --batch or --window first"
        ) from None


def _parse_plan(data: bytes, root: str) -> Plan:
    try:
        document = json.loads(data)
        check_seal(document, data)
        plan = Plan(**document)
        check_grid(plan.references, plan.chunk_size)
        return plan
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{root}/{PLAN}: damaged ({error}); convert again with --overwrite") from error


def read_parts(storage: Storage, plan: Plan) -> list[Part]:
    """All parts that are there."""

    def part(path: str) -> Part:
        return _read(storage, path, lambda data: Part.from_bytes(data, plan, f"{storage.root}/{path}"))

    return [part(path) for path in storage.list(layout.PARTS) if path != PLAN]


def commit(storage: Storage, plan: Plan, parts: Sequence[Part]) -> Manifest:
    """Check that the parts make a whole dataset, and make it exist.

    Raises DatasetError naming what is missing, twice there, or does not add up.
    """
    _check_windows(storage, plan, parts)
    chunks = _ordered(chunk for part in parts for chunk in part.chunks)
    there = storage.sizes(layout.DATA)
    for chunk in chunks:
        if there.pop(chunk.path, None) != chunk.size:
            raise DatasetError(
                f"{storage.root}/{chunk.path}: missing or incomplete; convert its window again"
            )
    counts = Counts.zero()
    for part in parts:
        counts.add(part.counts)
    records = sum(chunk.records for chunk in chunks)
    if records != counts.passed[0] + counts.failed[0]:
        raise DatasetError(
            f"{storage.root}: the chunks hold {records} records, the parts counted another number"
        )
    _check_source_counts(storage, plan, parts, counts)
    index = index_to_bytes(chunks)
    manifest = Manifest(
        plan.header_id, plan.references, plan.chunk_size, plan.level, records, len(chunks),
        sum(chunk.size for chunk in chunks), plan.header_bytes, plan.header_crc32, len(index), zlib.crc32(index),
        counts, dict(ENCODINGS),
    )  # fmt: skip
    if not _is_plan(storage, sealed(asdict(plan))):
        raise DatasetError(f"{storage.root}: another writer has begun it anew meanwhile; wait for that one")
    for path in there:  # left by a run that was stopped
        storage.delete(path)
    storage.delete_incomplete()
    storage.put(layout.INDEX, index)
    try:
        storage.put_new(layout.METADATA, manifest.to_bytes())
    except FileExistsError:
        raise DatasetError(f"{storage.root}: another writer has completed it meanwhile") from None
    storage.delete_all(layout.PARTS)
    return manifest


def _ordered(chunks: Iterable[ChunkEntry]) -> list[ChunkEntry]:
    """In the order of the BAM: by reference, reads with no position last."""
    return sorted(chunks, key=lambda chunk: (chunk.reference_id & 0xFFFFFFFF, chunk.start))


def _check_windows(storage: Storage, plan: Plan, parts: Sequence[Part]) -> None:
    done = sorted(
        (window for part in parts for window in part.windows), key=lambda w: (w[0] & 0xFFFFFFFF, w[1])
    )
    for window, copies in groupby(done):
        if len(list(copies)) > 1:
            raise DatasetError(
                f"{storage.root}: window {_show(plan, window)} is in two parts; delete one in _parts/"
            )
    if missing := sorted(set(plan.windows()) - set(done)):
        shown = ", ".join(_show(plan, window) for window in missing[:3])
        raise DatasetError(
            f"{storage.root}: {len(missing)} windows are not converted yet ({shown}{', …' if missing[3:] else ''}); "
            "run bams3 convert with the --batch or --window that covers them"
        )
    if strange := set(done) - set(plan.windows()):
        raise DatasetError(
            f"{storage.root}: window {_show(plan, min(strange))} is not of this dataset's grid"
        )


def _check_source_counts(storage: Storage, plan: Plan, parts: Sequence[Part], counts: Counts) -> None:
    for part in parts:
        for reference_id, expected in part.source_counts.items():
            found = sum(counts.by_reference.get(reference_id, [0, 0]))
            if found != expected:
                where = plan.references[reference_id][0] if reference_id >= 0 else "no position"
                raise DatasetError(
                    f"{storage.root}: {found} records of {where}, but the source's index says {expected}; "
                    "is the index older than the file? Index it again and convert with --overwrite"
                )


def _show(plan: Plan, window: Window) -> str:
    if window.reference_id == layout.UNPLACED:
        return "of reads with no position"
    name = plan.references[window.reference_id][0] if window.reference_id < len(plan.references) else "?"
    return f"{name}:{window.start + 1}-{window.end}"
