"""Writing of a dataset in parts, and its commit.

Any process may write the chunks of any windows, and a part file that lists them. `commit` checks that the parts are
complete, and writes the index and the manifest; from then on, the dataset exists.
"""

import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import attrgetter

from bams3.chunk.entry import ChunkEntry
from bams3.codec import ENCODINGS
from bams3.dataset import layout
from bams3.dataset.commit import put_manifest, tidying
from bams3.dataset.generations import growing
from bams3.dataset.index import check_chunks, check_hashes, index_to_bytes
from bams3.dataset.layout import Window
from bams3.dataset.manifest import (
    Counts,
    Manifest,
    check_seal,
    is_count,
    is_set,
    sealed,
    sha256_of,
    sums_of,
    sums_to_json,
)  # fmt: skip
from bams3.dataset.marked import Marked, check_borders, marked_of, marked_to_json
from bams3.dataset.merged import Merged, kept_by, merged_of, merged_to_json
from bams3.dataset.own import Own, is_former, is_part
from bams3.dataset.plan import Plan, former_plans, is_plan, read_object
from bams3.dataset.sums import Sums
from bams3.dataset.tiles import check_tiles
from bams3.errors import DatasetError
from bams3.storage import Storage
from bams3.untrusted import parse_json


@dataclass
class Part:
    """Some windows of a dataset, and what was written for them.

    Attributes
    ----------
    windows
        The windows; consecutive ones are joined.
    chunks
        The entries of the chunks.
    counts, sums
        Counts and checksums of the records. `sums` is None if an earlier version wrote the part. In a part of a merge,
        both are those of records from files and of changed records only.
    source_counts
        The number of records by reference id, according to the index of the source (in a merge, of all inputs); empty
        if the index does not have it.
    truncated
        Whether the source lacked its end-of-file marker.
    marked
        The results of a batch of `bams3 markdup`; otherwise None.
    merged
        The totals of a batch of `bams3 merge`; otherwise None.
    """

    windows: list[Window]
    chunks: list[ChunkEntry] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts.zero)
    source_counts: dict[int, int] = field(default_factory=dict)
    truncated: bool = False
    sums: Sums | None = field(default_factory=Sums.zero)
    marked: Marked | None = None
    merged: Merged | None = None

    def to_bytes(self, plan: Plan) -> bytes:
        """Encode as a part file of this plan: JSON."""
        document = {
            "plan": plan.crc32,
            "windows": self.windows,
            "counts": self.counts.to_json(),
            "source_counts": sorted(self.source_counts.items()),
            "chunks": [chunk.to_part_json() for chunk in self.chunks],
        }
        truncated = {"truncated": True} if self.truncated else {}
        of_command = marked_to_json(self.marked) | merged_to_json(self.merged)
        return sealed(document | truncated | sums_to_json(self.sums) | of_command)

    @classmethod
    def from_bytes(cls, data: bytes, plan: Plan, name: str) -> "Part":
        """Parse a part file. Raises DatasetError if it is damaged, or was written under another plan."""
        try:
            document = parse_json(data)
            check_seal(document, data)
            if document.get("plan", plan.crc32) != plan.crc32:  # parts of early versions do not have it
                raise DatasetError(
                    f"{name}: from a run of another source or with other options; delete it and run bams3 "
                    f"{plan.command} for its windows again"
                )
            part = cls(
                [Window(*run) for run in document["windows"]],
                [ChunkEntry(*chunk) for chunk in document["chunks"]],
                Counts.from_json(document["counts"]),
                dict(document["source_counts"]),
                is_set(document, "truncated"),
                sums_of(document),
                marked_of(document),
                merged_of(document),
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
        if (self.marked is None, self.merged is None) != (plan.marking == "", plan.merging == ""):
            raise ValueError("from another command than the plan")
        if self.marked is not None:
            self.marked.check(plan.marking)
        if self.merged is not None:
            self.merged.check(plan.merging, references)
        if not all(type(number) is int and -1 <= number < 1 << 32 for number in chain(*self.windows)):
            raise ValueError("invalid windows")
        counts = self.counts if self.merged is None else None
        check_chunks(self.chunks, counts, plan.references, plan.chunk_size, plan.joined, plan.version)
        check_hashes(self.chunks, plan.version)
        check_tiles(self.chunks)
        runs = sorted(self.windows)
        for chunk in self.chunks:
            reference_id, start = chunk.window
            run = runs[bisect_right(runs, (reference_id, start, 1 << 32)) - 1] if runs else None
            if run is None or run.reference_id != reference_id or not run.start <= start < max(run.end, 1):
                raise ValueError("chunks outside its windows")
        for reference_id, count in self.source_counts.items():
            if type(reference_id) is not int or not -1 <= reference_id < references or not is_count(count):
                raise ValueError("invalid counts of the source")


def delete_parts(storage: Storage, *, appends: bool = False) -> None:
    """Delete what only an unfinished dataset needs, the plan last.

    `appends`: also delete the plans of appends to a previous dataset at the same place.
    """
    paths = [
        path
        for path in storage.list(layout.PARTS)
        if is_part(path) or is_former(path) or (appends and growing(path))
    ]
    storage.delete_all([*paths, layout.PLAN])


def write_part(storage: Storage, plan: Plan, name: str, part: Part) -> None:
    """Store a part, in such a way that it can't survive a power cut that destroys one of its chunks."""
    storage.sync()
    storage.put(f"{layout.PARTS}/{name}.json", part.to_bytes(plan))
    storage.sync()


def finish(storage: Storage, plan: Plan, part: Part, name: str | None) -> Manifest | None:
    """Store a part under its name.

    Without a name, it is the only part: complete the dataset, and return its manifest.
    """
    if name is None:
        return commit(storage, plan, [part])
    write_part(storage, plan, name, part)
    return None


def read_part(storage: Storage, plan: Plan, path: str) -> Part:
    """Return the part at a path."""
    return read_object(storage, path, lambda data: Part.from_bytes(data, plan, f"{storage.root}/{path}"))


def read_parts(storage: Storage, plan: Plan) -> list[Part]:
    """Return all existing parts."""
    return [read_part(storage, plan, path) for path in storage.list(layout.PARTS) if is_part(path)]


def commit(
    storage: Storage, plan: Plan, parts: Sequence[Part], first: Callable[[], None] | None = None
) -> Manifest:
    """Check that the parts form a complete dataset, and commit it.

    `first`: called right before the manifest is written. Raises DatasetError if something is missing or duplicated, or
    if numbers do not match; the message names it.
    """
    index, manifest, strays = assembled(storage, plan, parts)
    if not is_plan(storage, plan.to_bytes()):
        raise DatasetError(
            f"{storage.root}: another process has restarted it in the meantime; wait for that process"
        )
    own = Own([plan, *former_plans(storage)])
    own.delete_strays(storage, strays)  # left by an interrupted run
    storage.delete_incomplete(own.has)
    storage.put(layout.INDEX, index)
    if first:
        first()
    try:
        put_manifest(storage, storage.put_new, manifest)
    except FileExistsError:
        raise DatasetError(f"{storage.root}: another process has completed it in the meantime") from None
    with tidying(storage.root):
        delete_parts(storage, appends=True)
    return manifest


def assembled(storage: Storage, plan: Plan, parts: Sequence[Part]) -> tuple[bytes, Manifest, Iterable[str]]:
    """Return the index and the manifest of the dataset that parts form, and the unused paths below `data/`.

    Raises DatasetError as `commit` does.
    """
    _check_windows(storage, plan, parts)
    check_borders(storage.root, (part.marked for part in parts if part.marked and part.windows))
    chunks = sorted((chunk for part in parts for chunk in part.chunks), key=attrgetter("order"))
    there = storage.sizes(layout.DATA)
    for chunk in chunks:
        if there.pop(chunk.path, None) != chunk.size:
            raise DatasetError(
                f"{storage.root}/{chunk.path}: missing or incomplete; convert its window again"
            )
    counts, sums = _numbers(storage.root, parts)
    held: Counter[int] = Counter()
    for contig, number in chain.from_iterable(chunk.records_by_contig for chunk in chunks):
        held[contig] += number
    records = held.total()
    counted = {contig: mapped + unmapped for contig, (mapped, unmapped) in counts.by_reference.items()}
    if held != Counter(counted):
        raise DatasetError(
            f"{storage.root}: the chunks hold {records} records, but the parts counted another number; "
            "convert again with --overwrite"
        )
    _check_source_counts(storage, plan, parts, counted)
    index = index_to_bytes(chunks)
    manifest = Manifest(
        plan.header_id, plan.references, plan.chunk_size, plan.level, records, len(chunks),
        sum(chunk.size for chunk in chunks), plan.header_bytes, plan.header_crc32, len(index), zlib.crc32(index),
        counts, dict(ENCODINGS), any(part.truncated for part in parts), sums=sums,
        lossy=plan.lossy, header_sha256=plan.header_sha256, index_sha256=sha256_of(index),
        earlier_header_ids=plan.earlier_header_ids, generation=plan.generation, version=plan.version,
    )  # fmt: skip
    return index, manifest, there


def _numbers(place: str, parts: Sequence[Part]) -> tuple[Counts, Sums | None]:
    """Return the counts and the sums of all records. The sums are None if a part has none."""
    total = kept_by(place, (part.merged for part in parts if part.merged))
    for part in parts:
        total.counts.add(part.counts)
        total.sums.add(part.sums or Sums.zero())
    return total.counts, None if any(part.sums is None for part in parts) else total.sums


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
        options = "--batch or --window" if plan.command == "convert" else "--batch"
        raise DatasetError(
            f"{storage.root}: {number} windows have not been converted yet ({shown}{', …' if number > 3 else ''}); "
            f"run bams3 {plan.command} with the {options} that covers them"
        )


def _check_source_counts(
    storage: Storage, plan: Plan, parts: Sequence[Part], counted: dict[int, int]
) -> None:
    says = "the indexes of the inputs say" if plan.merging else "the source's index says"
    for part in parts:
        for reference_id, expected in part.source_counts.items():
            if (found := counted.get(reference_id, 0)) != expected:
                where = plan.references[reference_id][0] if reference_id >= 0 else "no position"
                raise DatasetError(
                    f"{storage.root}: {found} records of {where}, but {says} {expected}; if an index is older than "
                    f"its file, index the file again, and run bams3 {plan.command} with --overwrite"
                )


def _show(plan: Plan, window: Window) -> str:
    if window.reference_id == layout.UNPLACED:
        return "of reads with no position"
    name = plan.references[window.reference_id][0] if window.reference_id < len(plan.references) else "?"
    return f"{name}:{window.start + 1}-{window.end}"
