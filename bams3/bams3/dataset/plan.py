"""The plan of a dataset in the making (`_parts/plan.json`): what all of its parts share."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from bams3.bam.lossy import Loss, loss_of
from bams3.dataset import layout, packing
from bams3.dataset.generations import growing, path_in
from bams3.dataset.layout import Grid
from bams3.dataset.manifest import (
    JOINED,
    VERSION,
    VERSIONS,
    check_earlier,
    check_generation,
    check_grid,
    check_identity,
    check_seal,
    check_sha256,
    earlier_of,
    earlier_to_json,
    header_id,
    is_count,
    is_hex,
    is_joined,
    lossy_to_json,
    sealed,
    sha256_of,
)  # fmt: skip
from bams3.dataset.own import is_former
from bams3.errors import DatasetError
from bams3.shown import shown
from bams3.storage import Storage
from bams3.untrusted import parse_json

Parsed = TypeVar("Parsed")

WRITTEN = (VERSION, JOINED)


@dataclass(frozen=True)
class Plan:
    """What all parts of a dataset have in common. `earlier_header_ids`: see `Manifest`; `generation`: of the chunks
    that are written; `marking`: a SHA-256 of the source and the options of `bams3 markdup`, if its batches write the
    parts."""

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
    generation: str = ""
    marking: str = ""

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
        optional = {"generation": self.generation, "marking": self.marking}
        special = ("lossy", "earlier_header_ids", *optional)
        document = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in special}
        document |= {name: value for name, value in optional.items() if value}
        return sealed(document | lossy_to_json(self.lossy) | earlier_to_json(self.earlier_header_ids))

    @cached_property
    def grid(self) -> Grid:
        """The windows."""
        references = [(name, length) for name, length in self.references]
        return Grid(references, self.chunk_size, joins=is_joined(self.version))

    @cached_property
    def lengths(self) -> list[int]:
        """The length of every contig in bp, by reference id."""
        return [length for _, length in self.references]

    def chunk_path(self, reference_id: int, start: int) -> str:
        """Path of the chunk of a window, or (reference id −1) of chunk number `start` of the reads with no position."""
        return path_in(self.grid.path(reference_id, start), self.generation)

    @property
    def joined(self) -> Grid | None:
        """The windows, if contigs share some of them."""
        return self.grid if is_joined(self.version) else None


def version_of(references: Sequence[Any], chunk_size: int) -> int:
    """The version of the format in which a dataset of these contigs is written."""
    return JOINED if layout.joins([length for _, length in references], chunk_size) else VERSION


def write_plan(
    storage: Storage, plan: Plan, header_text: bytes, *, join: bool, replace: Plan | None = None
) -> None:
    """Begin a dataset, or `join` one that has been begun.

    `replace`: the plan of a dataset that the new one replaces; it is kept until the new one is complete,
    because it tells which chunks belong to the old one. Raises DatasetError if the dataset was begun with another plan,
    or must not be joined, or if the file system can't hold the folders of its contigs.
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
        if not is_plan(storage, document):
            if not replace:
                stored_plan(storage, versions=WRITTEN)  # raises the error that fits better
                raise DatasetError(
                    f"{storage.root}: begun from another file or with another chunk size, level, or marking of "
                    "duplicates; use the same for all parts, or --overwrite"
                ) from None
            storage.put(layout.PLAN, document)
    if (alike := _alike(plan)) and storage.exists(layout.PLAN.upper()):
        storage.delete(layout.PLAN)
        raise DatasetError(
            f"{storage.root}: the contigs {alike} differ only in case, which this file system ignores; "
            "write to another file system, or to an object store"
        )
    storage.sync()  # no power cut may leave files without the plan that tells whose they are
    storage.put(layout.HEADER, header)  # whoever wrote the plan may have been interrupted before this


def _alike(plan: Plan) -> str:
    """Two contigs whose folders some file systems take for one; "" if there are none."""
    names = [name for name, _ in plan.references]
    seen: dict[str, str] = {}
    for name in names if len(set("\t".join(names).lower().split("\t"))) < len(names) else ():
        other = seen.setdefault(layout.encode_name(name).lower(), name)
        if other != name:
            return f"{shown(other)} and {shown(name)}"
    return ""


def is_plan(storage: Storage, document: bytes) -> bool:
    """Whether a document is the stored plan. If they differ, the plan is read again: it may have been truncated."""
    return any(storage.get(layout.PLAN) == document for _ in range(2))


def read_object(storage: Storage, path: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Parse an object. If it is damaged, it is read again: it may have been damaged in transfer."""
    try:
        return parse(storage.get(path))
    except DatasetError:
        return parse(storage.get(path))


def read_plan(storage: Storage) -> Plan:
    """The plan of an unfinished dataset, with its header verified. Raises DatasetError if there is none."""
    try:
        plan = stored_plan(storage, versions=WRITTEN)
    except FileNotFoundError:
        raise DatasetError(
            f"{storage.root}: no parts to merge; run bams3 convert or bams3 markdup with --batch first"
        ) from None
    _check_header(storage, plan)
    return plan


def stored_plan(storage: Storage, path: str = layout.PLAN, versions: Sequence[int] = VERSIONS) -> Plan:
    """The plan of a dataset that is unfinished or half removed, one that it has replaced, or that of an append. Raises
    DatasetError if it is damaged, or of none of these versions."""
    return read_object(storage, path, lambda data: _parse_plan(data, f"{storage.root}/{path}", versions))


def _check_header(storage: Storage, plan: Plan) -> None:
    """Raise DatasetError unless the stored header has the text and references of the plan."""
    from bams3.bam.header import Header

    references = tuple((name, length) for name, length in plan.references)
    for _ in range(2):  # again: it may have been damaged in transfer
        text = packing.readable_header(storage, layout.HEADER, VERSION)
        if (
            text is not None
            and (len(text), zlib.crc32(text)) == (plan.header_bytes, plan.header_crc32)
            and header_id(Header(text, references)) == plan.header_id
        ):
            return
    raise DatasetError(
        f"{storage.root}/{layout.HEADER}: missing, or not the header of {layout.PLAN}; convert again with --overwrite"
    )


def former_plans(storage: Storage) -> list[Plan]:
    """The plans that the valid one has replaced, and those of appends; some of their chunks may still exist."""
    paths = [path for path in storage.list(layout.PARTS) if is_former(path) or growing(path)]
    return [stored_plan(storage, path) for path in paths]


def _parse_plan(data: bytes, name: str, versions: Sequence[int]) -> Plan:
    try:
        document = parse_json(data)
        version = document.get("version", VERSION)
        if type(version) is not int:
            raise ValueError("invalid version")
        if version not in versions:  # before all else: another version can have other keys
            raise DatasetError(
                f"{name}: begun by a version of bams3 that writes format version {version}; finish it with that version"
            )
        check_seal(document, data)
        plan = Plan(**document | {"lossy": loss_of(document), "earlier_header_ids": earlier_of(document)})
        check_identity(plan.header_id, plan.level)
        check_earlier(plan.earlier_header_ids, plan.header_id, plan.version)
        check_generation(plan.generation, plan.version)
        check_grid(plan.references, plan.chunk_size)
        if plan.version in WRITTEN and plan.version != version_of(plan.references, plan.chunk_size):
            raise ValueError("its version does not fit its contigs")
        check_sha256(plan.header_sha256, plan.version)
        if not (is_count(plan.header_bytes) and is_count(plan.header_crc32)):
            raise ValueError("invalid numbers")
        if plan.marking != "" and not is_hex(plan.marking, 64):
            raise ValueError("invalid marking")
        return plan
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{name}: damaged ({error})") from error
