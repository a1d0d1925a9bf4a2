"""The plan of an unfinished dataset (`_parts/plan.json`): what all of its parts have in common."""

import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from bams3.bam.lossy import Loss, loss_of
from bams3.dataset import layout, packing
from bams3.dataset.generations import growing, path_in
from bams3.dataset.hashed_paths import hashed_path, new_key
from bams3.dataset.layout import Grid
from bams3.dataset.manifest import (
    HASHED_PATHS,
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

if TYPE_CHECKING:
    from bams3.bam.header import Header

Parsed = TypeVar("Parsed")

WRITTEN = (VERSION, JOINED, HASHED_PATHS)
_OPTIONAL = ("generation", "marking", "merging", "path_key")  # keys that not every plan has


@dataclass(frozen=True)
class Plan:
    """What all parts of a dataset have in common. Attributes that are not listed here are those of `Manifest`.

    Attributes
    ----------
    generation
        The generation of the chunks that are written; "" if they have none.
    marking, merging
        A SHA-256 of the inputs and the options of `bams3 markdup` or `bams3 merge`, if batches of that command write
        the parts; else "".
    path_key
        The key of hashed paths; "" if paths are not hashed, or if the dataset is complete.
    """

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
    merging: str = ""
    path_key: str = ""

    @classmethod
    def of(
        cls, header: Any, chunk_size: int, level: int, lossy: Loss | None = None, *, hash_paths: bool = False
    ) -> "Plan":
        """Return the plan for a source with this Header. `hash_paths`: whether paths are hashed, with a new key."""
        version = HASHED_PATHS if hash_paths else version_of(header.references, chunk_size)
        return cls(
            header_id(header), [list(reference) for reference in header.references], chunk_size, level,
            len(header.text), zlib.crc32(header.text), version, lossy, sha256_of(header.text),
            path_key=new_key() if hash_paths else "",
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Encode as a plan file: JSON."""
        special = ("lossy", "earlier_header_ids", *_OPTIONAL)
        document = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in special}
        document |= {name: value for name in _OPTIONAL if (value := getattr(self, name))}
        return sealed(document | lossy_to_json(self.lossy) | earlier_to_json(self.earlier_header_ids))

    @cached_property
    def crc32(self) -> int:
        """CRC-32 of the plan without its `path_key`, which may differ in batches that begin at the same moment."""
        return zlib.crc32(replace(self, path_key="").to_bytes())

    @cached_property
    def grid(self) -> Grid:
        """All windows of the dataset."""
        references = [(name, length) for name, length in self.references]
        return Grid(references, self.chunk_size, joins=is_joined(self.version))

    @property
    def command(self) -> str:
        """The command that writes the parts."""
        return "markdup" if self.marking else "merge" if self.merging else "convert"

    @cached_property
    def lengths(self) -> list[int]:
        """The length of every contig in bp, by reference id."""
        return [length for _, length in self.references]

    def chunk_path(self, reference_id: int, start: int) -> str:
        """Return the path of the chunk of a window, or, for reference id −1, of piece number `start`."""
        path = self.grid.path(reference_id, start)
        if self.version == HASHED_PATHS:
            path = hashed_path(path, self.path_key)
        return path_in(path, self.generation)

    def window_start(self, reference_id: int, pos: int) -> int:
        """Return the start of the window of the reads at a 0-based position of a contig."""
        last = layout.last_window(self.lengths[reference_id], self.chunk_size)
        return min(max(pos, 0) // self.chunk_size * self.chunk_size, last)

    @property
    def joined(self) -> Grid | None:
        """The grid, if contigs share some of its windows; else None."""
        return self.grid if is_joined(self.version) and self.grid.shared else None


def version_of(references: Sequence[Any], chunk_size: int) -> int:
    """Return the format version in which a dataset with these contigs is written."""
    return JOINED if layout.joins([length for _, length in references], chunk_size) else VERSION


def write_plan(
    storage: Storage, plan: Plan, header_text: bytes, *, join: bool, former: Plan | None = None
) -> Plan:
    """Begin a dataset, or `join` one that has been begun; return the plan to use.

    Parameters
    ----------
    plan
        The plan of the dataset.
    header_text
        The text of its header.
    join
        Whether the dataset may have been begun before, with the same plan.
    former
        The plan of a dataset that the new one replaces. It is kept until the new one is complete, because it tells
        which chunks belong to the old one.

    Raises
    ------
    DatasetError
        If the dataset was begun with another plan or must not be joined, or if the file system can't hold the folders
        of the contigs because it ignores case.
    """
    plan = agreed(storage, plan)
    document = plan.to_bytes()
    header = packing.stored_header(header_text, plan.version)
    if former not in (None, plan):
        storage.put(f"{layout.PARTS}/former-{former.header_id}-{former.chunk_size}.json", former.to_bytes())
        storage.sync()
        storage.put(layout.PLAN, document)
    try:
        storage.put_new(layout.PLAN, document)
    except FileExistsError:
        if not join:
            raise DatasetError(
                f"{storage.root}: another process has begun writing it; wait for it, or use --resume if it has ended"
            ) from None
        plan = agreed(storage, plan)
        document = plan.to_bytes()
        if not is_plan(storage, document):
            if not former:
                stored_plan(storage, versions=WRITTEN)  # raises a more specific error, if there is one
                raise DatasetError(
                    f"{storage.root}: begun from another file or with another chunk size, level, kind of paths, or "
                    "other options of markdup or merge; use the same for all parts, or --overwrite"
                ) from None
            storage.put(layout.PLAN, document)
    if (alike := _alike(plan)) and storage.exists(layout.PLAN.upper()):
        storage.delete(layout.PLAN)
        raise DatasetError(
            f"{storage.root}: the contigs {alike} differ only in case, which this file system ignores; "
            "write to another file system, or to an object store"
        )
    storage.sync()  # no power cut may leave files without the plan that tells to which dataset they belong
    # The process that wrote the plan may have been interrupted before this.
    storage.put(layout.HEADER, header)
    return plan


def agreed(storage: Storage, plan: Plan) -> Plan:
    """Return the stored plan if it differs from this one only in `path_key`; otherwise this one."""
    with suppress(FileNotFoundError, DatasetError):
        stored = stored_plan(storage, versions=WRITTEN) if plan.path_key else plan
        if stored.path_key and replace(stored, path_key=plan.path_key) == plan:
            return stored
    return plan


def _alike(plan: Plan) -> str:
    """Return two contigs whose folders are the same on file systems that ignore case; "" if there are none."""
    if plan.version == HASHED_PATHS:
        return ""
    names = [name for name, _ in plan.references]
    seen: dict[str, str] = {}
    for name in names if len(set("\t".join(names).lower().split("\t"))) < len(names) else ():
        other = seen.setdefault(layout.encode_name(name).lower(), name)
        if other != name:
            return f"{shown(other)} and {shown(name)}"
    return ""


def is_plan(storage: Storage, document: bytes) -> bool:
    """Tell whether a document is the stored plan.

    If they differ, read again, because the transfer may have been cut.
    """
    return any(storage.get(layout.PLAN) == document for _ in range(2))


def read_object(storage: Storage, path: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Parse an object. If it is damaged, read it again, because it may have been damaged in transfer."""
    try:
        return parse(storage.get(path))
    except DatasetError:
        return parse(storage.get(path))


def read_plan(storage: Storage) -> Plan:
    """Return the plan of an unfinished dataset, after checking its header. Raises DatasetError if there is none."""
    try:
        plan = stored_plan(storage, versions=WRITTEN)
    except FileNotFoundError:
        raise DatasetError(
            f"{storage.root}: no parts to merge; run bams3 convert, markdup or merge with --batch first"
        ) from None
    header_of(storage, plan)
    return plan


def stored_plan(storage: Storage, path: str = layout.PLAN, versions: Sequence[int] = VERSIONS) -> Plan:
    """Return a stored plan: that of a dataset that is unfinished or half removed, a replaced one, or that of an append.

    Raises DatasetError if it is damaged, or of none of these versions.
    """
    return read_object(storage, path, lambda data: _parse_plan(data, f"{storage.root}/{path}", versions))


def header_of(storage: Storage, plan: Plan) -> "Header":
    """Return the stored header. Raises DatasetError unless it has the text and references of the plan."""
    from bams3.bam.header import Header

    references = tuple((name, length) for name, length in plan.references)
    for _ in range(2):  # twice, because it may have been damaged in transfer
        text = packing.readable_header(storage, layout.HEADER, VERSION)
        if (
            text is not None
            and (len(text), zlib.crc32(text)) == (plan.header_bytes, plan.header_crc32)
            and header_id(header := Header(text, references)) == plan.header_id
        ):
            return header
    raise DatasetError(
        f"{storage.root}/{layout.HEADER}: missing, or not the header of {layout.PLAN}; convert again with --overwrite"
    )


def former_plans(storage: Storage) -> list[Plan]:
    """Return the plans that the valid one has replaced, and those of appends. Some of their chunks may still exist."""
    paths = [path for path in storage.list(layout.PARTS) if is_former(path) or growing(path)]
    return [stored_plan(storage, path) for path in paths]


def _parse_plan(data: bytes, name: str, versions: Sequence[int]) -> Plan:
    try:
        document = parse_json(data)
        version = document.get("version", VERSION)
        if type(version) is not int:
            raise ValueError("invalid version")
        if version not in versions:  # checked first, because other versions may have other keys
            raise DatasetError(
                f"{name}: begun by a version of bams3 that writes format version {version}; finish it with that version"
            )
        check_seal(document, data)
        plan = Plan(**document | {"lossy": loss_of(document), "earlier_header_ids": earlier_of(document)})
        check_identity(plan.header_id, plan.level)
        check_earlier(plan.earlier_header_ids, plan.header_id, plan.version)
        check_generation(plan.generation, plan.version)
        check_grid(plan.references, plan.chunk_size)
        if plan.version in (VERSION, JOINED) and plan.version != version_of(plan.references, plan.chunk_size):
            raise ValueError("its version does not fit its contigs")
        check_sha256(plan.header_sha256, plan.version)
        if not (is_count(plan.header_bytes) and is_count(plan.header_crc32)):
            raise ValueError("invalid numbers")
        for name in ("marking", "merging"):
            if getattr(plan, name) != "" and not is_hex(getattr(plan, name), 64):
                raise ValueError(f"invalid {name}")
        if plan.marking and plan.merging:
            raise ValueError("of two commands")
        if plan.path_key != "" and not (plan.version == HASHED_PATHS and is_hex(plan.path_key, 64)):
            raise ValueError("invalid path_key")
        return plan
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{name}: damaged ({error})") from error
