"""Writing a dataset in parts: a plan, parts, a commit.

Any process may write the chunks of any windows and a part file that lists them. `commit`
checks that the parts are complete and writes the index and the manifest: from then on the dataset exists.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import chain, islice
from operator import attrgetter
from typing import Any, TypeVar

from bams3.bam.lossy import Loss, loss_of
from bams3.chunk.entry import ChunkEntry
from bams3.codec import ENCODINGS
from bams3.dataset import layout, packing
from bams3.dataset.commit import put_manifest, tidying
from bams3.dataset.index import check_chunks, check_hashes, index_to_bytes
from bams3.dataset.layout import Grid, Window
from bams3.dataset.manifest import (
    JOINED,
    VERSION,
    VERSIONS,
    Counts,
    Manifest,
    check_earlier,
    check_grid,
    check_identity,
    check_seal,
    check_sha256,
    earlier_of,
    earlier_to_json,
    header_id,
    is_count,
    is_set,
    joins,
    lossy_to_json,
    sealed,
    sha256_of,
    sums_of,
    sums_to_json,
)  # fmt: skip
from bams3.dataset.own import Own, is_former, is_part
from bams3.dataset.sums import Sums
from bams3.errors import DatasetError
from bams3.storage import Storage
from bams3.untrusted import parse_json

Parsed = TypeVar("Parsed")

WRITTEN = (VERSION, JOINED)


@dataclass(frozen=True)
class Plan:
    """What all parts of a dataset have in common. `earlier_header_ids`: see `Manifest`."""

    header_id: str
    references: list[list[Any]]
    chunk_size: int
    level: int
    header_bytes: int
    header_crc32: int
    version: int = VERSION
    lossy: Loss | None = None
    header_sha256: str = ""
    earlier_header_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, header: Any, chunk_size: int, level: int, lossy: Loss | None = None) -> "Plan":
        """The plan for a source with this Header."""
        return cls(
            header_id(header), [list(reference) for reference in header.references], chunk_size, level,
            len(header.text), zlib.crc32(header.text), version_of(header.references, chunk_size), lossy,
            sha256_of(header.text),
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Encode as a plan file: JSON."""
        names = [each.name for each in fields(self) if each.name not in ("lossy", "earlier_header_ids")]
        document = {name: getattr(self, name) for name in names}
        return sealed(document | lossy_to_json(self.lossy) | earlier_to_json(self.earlier_header_ids))

    @cached_property
    def grid(self) -> Grid:
        """The windows."""
        references = [(name, length) for name, length in self.references]
        return Grid(references, self.chunk_size, joins=joins(self.version))

    @cached_property
    def lengths(self) -> list[int]:
        """The length of every contig in bp, by reference id."""
        return [length for _, length in self.references]

    def chunk_path(self, reference_id: int, start: int) -> str:
        """Path of the chunk of a window, or (reference id −1) of chunk number `start` of the reads with no position."""
        return self.grid.path(reference_id, start)

    @property
    def joined(self) -> Grid | None:
        """The windows, if contigs share some of them."""
        return self.grid if joins(self.version) else None


def version_of(references: Sequence[Any], chunk_size: int) -> int:
    """The version of the format in which a dataset of these contigs is written."""
    return JOINED if layout.joins([length for _, length in references], chunk_size) else VERSION


@dataclass
class Part:
    """Converted windows of a dataset; consecutive windows are joined. `source_counts`: by reference id, the number of
    records according to the source's index, if it says. `truncated`: the source lacked its end-of-file marker. `sums`:
    None if an earlier version wrote the part."""

    windows: list[Window]
    chunks: list[ChunkEntry] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts.zero)
    source_counts: dict[int, int] = field(default_factory=dict)
    truncated: bool = False
    sums: Sums | None = field(default_factory=Sums.zero)

    def to_bytes(self) -> bytes:
        """Encode as a part file: JSON."""
        document = {
            "windows": self.windows,
            "counts": self.counts.to_json(),
            "source_counts": sorted(self.source_counts.items()),
            "chunks": [chunk.to_json() for chunk in self.chunks],
        }
        return sealed(document | ({"truncated": True} if self.truncated else {}) | sums_to_json(self.sums))

    @classmethod
    def from_bytes(cls, data: bytes, plan: Plan, name: str) -> "Part":
        """Parse a part file. Raises DatasetError if it is damaged."""
        try:
            document = parse_json(data)
            check_seal(document, data)
            part = cls(
                [Window(*run) for run in document["windows"]],
                [ChunkEntry(*chunk) for chunk in document["chunks"]],
                Counts.from_json(document["counts"]),
                dict(document["source_counts"]),
                is_set(document, "truncated"),
                sums_of(document),
            )
            part._check(plan)
            return part
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise DatasetError(
                f"{name}: damaged part file ({error}); delete it and convert its windows again"
            ) from error

    def _check(self, plan: Plan) -> None:
        """Raise ValueError for values that are contradictory or invalid under this plan."""
        references = len(plan.references)
        self.counts.check(references)
        if self.sums is not None:
            self.sums.check(self.counts.passed[1], self.counts.failed[1])
        if not all(type(number) is int and -1 <= number < 1 << 32 for number in chain(*self.windows)):
            raise ValueError("invalid windows")
        check_chunks(self.chunks, self.counts, plan.references, plan.chunk_size, plan.joined)
        check_hashes(self.chunks, plan.version)
        runs = sorted(self.windows)
        for chunk in self.chunks:
            reference_id, start = chunk.window
            run = runs[bisect_right(runs, (reference_id, start, 1 << 32)) - 1] if runs else None
            if run is None or run.reference_id != reference_id or not run.start <= start < max(run.end, 1):
                raise ValueError("chunks outside its windows")
        for reference_id, count in self.source_counts.items():
            if type(reference_id) is not int or not -1 <= reference_id < references or not is_count(count):
                raise ValueError("invalid counts of the source")


def write_plan(
    storage: Storage, plan: Plan, header_text: bytes, *, join: bool, replace: Plan | None = None
) -> None:
    """Begin a dataset, or `join` one that has been begun.

    `replace`: the plan of a dataset that the new one replaces; it is kept until the new one is complete,
    because it tells which chunks belong to the old one. Raises DatasetError if the dataset was begun with another plan,
    or must not be joined.
    """
    document = plan.to_bytes()
    header = packing.stored_header(header_text, plan.version)
    if replace not in (None, plan):
        former = f"{layout.PARTS}/former-{replace.header_id}-{replace.chunk_size}.json"
        storage.put(former, replace.to_bytes())
        storage.sync()
        storage.put(layout.PLAN, document)
    try:
        storage.put_new(layout.PLAN, document)
    except FileExistsError:
        if not join:
            raise DatasetError(
                f"{storage.root}: another process has begun writing it; wait for it, or use --resume if it has ended"
            ) from None
        if not _is_plan(storage, document):
            if not replace:
                raise DatasetError(
                    f"{storage.root}: begun from another file or with another chunk size or level; "
                    "use the same for all parts, or --overwrite"
                ) from None
            storage.put(layout.PLAN, document)
    storage.sync()  # no power cut may leave files without the plan that tells whose they are
    storage.put(layout.HEADER, header)  # whoever wrote the plan may have been interrupted before this


def _is_plan(storage: Storage, document: bytes) -> bool:
    """Whether a document is the stored plan. If they differ, the plan is read again: it may have been truncated."""
    return any(storage.get(layout.PLAN) == document for _ in range(2))


def _read(storage: Storage, path: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Parse an object. If it is damaged, it is read again: it may have been damaged in transfer."""
    try:
        return parse(storage.get(path))
    except DatasetError:
        return parse(storage.get(path))


def read_plan(storage: Storage) -> Plan:
    """The plan of an unfinished dataset, with its header verified. Raises DatasetError if there is none."""
    try:
        plan = stored_plan(storage)
    except FileNotFoundError:
        raise DatasetError(
            f"{storage.root}: no parts to merge; run bams3 convert --batch or --window first"
        ) from None
    _check_header(storage, plan)
    return plan


def stored_plan(storage: Storage, path: str = layout.PLAN) -> Plan:
    """The plan of an unfinished dataset, or one that it has replaced. Raises DatasetError if it is damaged."""
    versions = VERSIONS if is_former(path) else WRITTEN
    return _read(storage, path, lambda data: _parse_plan(data, f"{storage.root}/{path}", versions))


def _check_header(storage: Storage, plan: Plan) -> None:
    """Raise DatasetError unless the stored header has the text and references of the plan."""
    from bams3.bam.header import Header

    references = tuple((name, length) for name, length in plan.references)
    try:
        for _ in range(2):  # again: it may have been damaged in transfer
            text = _text_of(storage.get(layout.HEADER))
            whole = (len(text), zlib.crc32(text)) == (plan.header_bytes, plan.header_crc32)
            if whole and header_id(Header(text, references)) == plan.header_id:
                return
    except FileNotFoundError:
        pass
    raise DatasetError(
        f"{storage.root}/{layout.HEADER}: missing, or not the header of {layout.PLAN}; convert again with --overwrite"
    )


def _text_of(stored: bytes) -> bytes:
    try:
        return packing.header_text(stored, VERSION)
    except ValueError:
        return b""


def former_plans(storage: Storage) -> list[Plan]:
    """The plans that the valid one has replaced; some of their chunks may still exist."""
    return [stored_plan(storage, path) for path in storage.list(layout.PARTS) if is_former(path)]


def delete_parts(storage: Storage) -> None:
    """Delete what only an unfinished dataset needs, the plan last."""
    paths = [path for path in storage.list(layout.PARTS) if is_part(path) or is_former(path)]
    storage.delete_all([*paths, layout.PLAN])


def _parse_plan(data: bytes, name: str, versions: Sequence[int]) -> Plan:
    try:
        document = parse_json(data)
        check_seal(document, data)
        plan = Plan(**document | {"lossy": loss_of(document), "earlier_header_ids": earlier_of(document)})
        check_identity(plan.header_id, plan.level)
        check_earlier(plan.earlier_header_ids, plan.header_id, plan.version)
        check_grid(plan.references, plan.chunk_size)
        if plan.version not in versions:
            raise DatasetError(
                f"{name}: begun by a bams3 that writes format version {plan.version}; finish it with that bams3"
            )
        if plan.version in WRITTEN and plan.version != version_of(plan.references, plan.chunk_size):
            raise ValueError("of another version than its contigs ask for")
        check_sha256(plan.header_sha256, plan.version)
        if not (is_count(plan.header_bytes) and is_count(plan.header_crc32)):
            raise ValueError("invalid numbers")
        return plan
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{name}: damaged ({error})") from error


def read_parts(storage: Storage, plan: Plan) -> list[Part]:
    """All existing parts."""

    def part(path: str) -> Part:
        return _read(storage, path, lambda data: Part.from_bytes(data, plan, f"{storage.root}/{path}"))

    return [part(path) for path in storage.list(layout.PARTS) if is_part(path)]


def commit(storage: Storage, plan: Plan, parts: Sequence[Part]) -> Manifest:
    """Check that the parts form a complete dataset, and bring it into existence.

    Raises DatasetError that says what is missing, duplicated or does not add up.
    """
    _check_windows(storage, plan, parts)
    chunks = sorted((chunk for part in parts for chunk in part.chunks), key=attrgetter("order"))
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
            f"{storage.root}: the chunks hold {records} records, but the parts counted another number; "
            "convert again with --overwrite"
        )
    _check_source_counts(storage, plan, parts, counts)
    index = index_to_bytes(chunks)
    manifest = Manifest(
        plan.header_id, plan.references, plan.chunk_size, plan.level, records, len(chunks),
        sum(chunk.size for chunk in chunks), plan.header_bytes, plan.header_crc32, len(index), zlib.crc32(index),
        counts, dict(ENCODINGS), any(part.truncated for part in parts), sums=_sums(parts),
        lossy=plan.lossy, header_sha256=plan.header_sha256, index_sha256=sha256_of(index),
        earlier_header_ids=plan.earlier_header_ids, version=plan.version,
    )  # fmt: skip
    if not _is_plan(storage, plan.to_bytes()):
        raise DatasetError(
            f"{storage.root}: another process has restarted it in the meantime; wait for that process"
        )
    own = Own([plan, *former_plans(storage)])
    own.delete_strays(storage, there)  # left by an interrupted run
    storage.delete_incomplete(own.has)
    storage.put(layout.INDEX, index)
    try:
        put_manifest(storage, storage.put_new, manifest)
    except FileExistsError:
        raise DatasetError(f"{storage.root}: another process has completed it in the meantime") from None
    with tidying(storage.root):
        delete_parts(storage)
    return manifest


def _sums(parts: Sequence[Part]) -> Sums | None:
    """The sums of all records; None if a part lacks its own."""
    total = Sums.zero()
    for part in parts:
        if part.sums is None:
            return None
        total.add(part.sums)
    return total


def _check_windows(storage: Storage, plan: Plan, parts: Sequence[Part]) -> None:
    done = sorted(
        (window for part in parts for window in part.windows), key=lambda w: (w[0] & 0xFFFFFFFF, w[1], w[2])
    )
    places = []  # for each part, its first and last window in the grid
    for window in done:
        unplaced = window.reference_id == layout.UNPLACED
        first = plan.grid.index_of(window.reference_id, window.start)
        last = first if unplaced else plan.grid.index_of(window.reference_id, window.end - plan.chunk_size)
        if first is None or last is None or last < first or (unplaced and window[1:] != (0, 0)):
            raise DatasetError(f"{storage.root}: window {_show(plan, window)} is not on this dataset's grid")
        places.append((first, last))
    missing = []
    place = 0  # index of the first window that no part has covered so far
    for (first, last), window in zip(places, done, strict=True):
        if first < place:
            raise DatasetError(
                f"{storage.root}: window {_show(plan, window)} is in two parts; delete one of them in _parts/"
            )
        missing.append(plan.grid[place:first])
        place = last + 1
    missing.append(plan.grid[place:])
    if number := sum(map(len, missing)):
        shown = ", ".join(_show(plan, window) for window in islice(chain(*missing), 3))
        raise DatasetError(
            f"{storage.root}: {number} windows have not been converted yet ({shown}{', …' if number > 3 else ''}); "
            "run bams3 convert with the --batch or --window that covers them"
        )


def _check_source_counts(storage: Storage, plan: Plan, parts: Sequence[Part], counts: Counts) -> None:
    totals = {
        reference_id: mapped + unmapped for reference_id, (mapped, unmapped) in counts.by_reference.items()
    }
    for part in parts:
        for reference_id, expected in part.source_counts.items():
            if (found := totals.get(reference_id, 0)) != expected:
                where = plan.references[reference_id][0] if reference_id >= 0 else "no position"
                raise DatasetError(
                    f"{storage.root}: {found} records of {where}, but the source's index says {expected}; "
                    "is the index older than the file? Index the file again and convert with --overwrite"
                )


def _show(plan: Plan, window: Window) -> str:
    if window.reference_id == layout.UNPLACED:
        return "of reads with no position"
    name = plan.references[window.reference_id][0] if window.reference_id < len(plan.references) else "?"
    return f"{name}:{window.start + 1}-{window.end}"
