"""The manifest of a dataset (`_metadata.json`).

docs/format.md specifies it. It is written last: the dataset exists if and only if the manifest exists. Its content does
not depend on when, where or in how many jobs the dataset was created.
"""

import builtins
import json
import zlib
from functools import cache
from itertools import chain
from operator import lt
from typing import Any, NamedTuple

from bams3.bam.lossy import Loss, loss_of
from bams3.chunk.footer import check_encodings
from bams3.codec.streams import LEVELS
from bams3.dataset import layout
from bams3.dataset.layout import Grid
from bams3.dataset.packing import MAX_HEADER, packed_references, unpacked_references
from bams3.dataset.sums import Sums
from bams3.errors import DatasetError, FormatError
from bams3.untrusted import parse_json

FORMAT = "bams3"
VERSION = 4
JOINED = 5
"""Format version of a dataset in which contigs share windows."""
IN_GENERATIONS = 6
"""Format version of a dataset to which reads were appended in an object store: version 4 with generations."""
HASHED_PATHS = 7
"""Format version of a dataset whose chunks have hashed paths. It may also have shared windows and a generation."""
VERSIONS = (1, 2, 3, VERSION, JOINED, IN_GENERATIONS, HASHED_PATHS)
"""Format versions that can be read."""
HASHED = 4
"""First format version with SHA-256 hashes: of the header and the index in the manifest, of the chunks in the index."""
FLAGS = ("truncated", "partial_header")  # keys of a manifest that are true or absent
HASHES = ("header_sha256", "index_sha256")  # keys that a manifest of an early version does not have
MAX_INDEX = 1 << 30  # bytes of the chunk index, stored or inflated
_SEAL = b'  "crc32": '


class Counts:
    """Numbers of records.

    `passed`, `failed`: numbers of the records that passed or failed QC, in the order of `counts.FLAGSTAT`.
    `by_reference`: [mapped, unmapped] by reference id (−1: without a position), as samtools idxstats counts them.
    """

    def __init__(self, passed: list[int], failed: list[int], by_reference: dict[int, list[int]]) -> None:
        self.passed, self.failed, self.by_reference = passed, failed, by_reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and vars(self) == vars(other)

    @classmethod
    def zero(cls) -> "Counts":
        """Return the counts of an empty set of records."""
        return cls([0] * 16, [0] * 16, {})

    @classmethod
    def of_block(cls, block: Any, reference_id: int | None) -> "Counts":
        """Return the counts of a RecordBlock. `reference_id`: None if its records have several, all of them not −1."""
        from bams3.dataset.counts import count

        passed, failed = count(block)
        if reference_id is None:
            from bams3.codec.joint import runs

            contigs = {run[0]: [run[-1], run[1] - run[-1]] for run in runs(block)}
            return cls(passed, failed, contigs)
        mapped = passed[6] + failed[6]
        return cls(passed, failed, {reference_id: [mapped, len(block) - mapped]})

    @classmethod
    def of_chunk(cls, chunk: Any) -> "Counts":
        """Return the counts of the records of a `ChunkReader`, which are read and checked. Raises FormatError."""
        total = cls.zero()
        for group in chunk.row_groups:
            group.load()
            total.add(cls.of_block(group.stored_block(), group.reference_id))
        return total

    def add(self, other: "Counts") -> None:
        """Add the counts of `other`."""
        self.passed = [a + b for a, b in zip(self.passed, other.passed, strict=True)]
        self.failed = [a + b for a, b in zip(self.failed, other.failed, strict=True)]
        here, there = self.by_reference, other.by_reference
        for reference_id in here.keys() & there.keys():
            here[reference_id] = [a + b for a, b in zip(here[reference_id], there[reference_id], strict=True)]
        here |= {reference_id: row for reference_id, row in there.items() if reference_id not in here}

    def without(self, other: "Counts") -> "Counts":
        """Return the counts of these records without those in `other`, which must be among them."""
        rest = Counts.zero()
        rest.add(self)
        less = {key: [-mapped, -unmapped] for key, (mapped, unmapped) in other.by_reference.items()}
        rest.add(Counts([-number for number in other.passed], [-number for number in other.failed], less))
        rest.by_reference = {key: row for key, row in rest.by_reference.items() if any(row)}
        return rest

    def check(self, references: int) -> None:
        """Raise ValueError unless these counts are possible for records whose header has this number of references."""
        rows = [self.passed, self.failed, *self.by_reference.values()]
        if len(self.passed) != 16 or len(self.failed) != 16 or not are_counts([*chain.from_iterable(rows)]):
            raise ValueError("invalid counts")
        if not are_counts([*self.by_reference], -1, references):
            raise ValueError("counts of an unknown reference")
        if not (_agree(self.passed) and _agree(self.failed) and all(map(any, self.by_reference.values()))):
            raise ValueError("counts that contradict each other")
        mapped, unmapped = map(sum, zip((0, 0), *self.by_reference.values(), strict=True))
        if (mapped, mapped + unmapped) != tuple(self.passed[i] + self.failed[i] for i in (6, 0)):
            raise ValueError("counts by reference that do not add up to the total")

    def to_json(self) -> dict[str, Any]:
        """Return the counts as they are stored in part files and the manifest."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "by_reference": [[key, *row] for key, row in sorted(self.by_reference.items())],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Counts":
        """Parse the result of `to_json`. Raises ValueError if it is invalid."""
        by_reference = {key: [mapped, unmapped] for key, mapped, unmapped in document["by_reference"]}
        counts = cls(document["passed"], document["failed"], by_reference)
        given = [row[0] for row in document["by_reference"]]
        if document.keys() != counts.to_json().keys() or not all(map(lt, given, given[1:])):
            raise ValueError("counts of a reference that are duplicated, out of order, or have other keys")
        return counts


def _agree(row: list[int]) -> bool:
    """Tell whether these numbers, in the order of `counts.FLAGSTAT`, can be counts of the same records."""
    (total, primary, secondary, supplementary, duplicates, primary_duplicates, mapped, primary_mapped,
     paired, read1, read2, proper, both_mapped, singletons, elsewhere, elsewhere_mapq5) = row  # fmt: skip
    others = secondary + supplementary
    return (
        total == primary + others
        and primary_duplicates <= primary
        and 0 <= duplicates - primary_duplicates <= others
        and primary_mapped <= primary
        and 0 <= mapped - primary_mapped <= others
        and max(read1, read2) <= paired <= primary
        and max(proper, both_mapped + singletons) <= min(paired, primary_mapped)
        and elsewhere_mapq5 <= elsewhere <= both_mapped
    )


class Manifest(NamedTuple):
    """The content of `_metadata.json`. Lengths and sizes are in bytes, `chunk_size` is in bp.

    `header_id`: identifies the BAM header (see the function `header_id`). `references`: [name, length in bp] of every
    contig, by reference id. `bytes`: total size of the chunks. `header_…`: of the text of the header; `index_…`: of the
    stored chunk index; SHA-256 hashes are in hex digits, and empty before version 4. `sums`: None if an earlier version
    wrote the manifest. `truncated`: the source lacked its end-of-file marker. `partial_header`: the header was rebuilt
    from chunks and is not complete. `lossy`: what the conversion changed in the records; None if nothing.
    `earlier_header_ids`: ids of the headers that the dataset had before reads were appended to it. `generation`: that
    of the header and the index, if reads were appended in an object store; else "".
    """

    header_id: str
    references: list[list[Any]]
    chunk_size: int
    level: int
    records: int
    chunks: int
    bytes: int
    header_bytes: int
    header_crc32: int
    index_bytes: int
    index_crc32: int
    counts: Counts
    encodings: dict[str, str]
    truncated: bool = False
    partial_header: bool = False
    sums: Sums | None = None
    lossy: Loss | None = None
    header_sha256: str = ""
    index_sha256: str = ""
    earlier_header_ids: tuple[str, ...] = ()
    generation: str = ""
    format: str = FORMAT
    version: int = VERSION

    @property
    def joined(self) -> Grid | None:
        """The grid, if contigs share some of its windows; else None."""
        grid = Grid(self.references, self.chunk_size) if is_joined(self.version) else None  # type: ignore[arg-type]
        return grid if grid and grid.shared else None

    def to_bytes(self) -> builtins.bytes:
        """Return the manifest as JSON, with one key per line."""
        document = (
            {"format": FORMAT, "version": self.version} | self._asdict() | {"counts": self.counts.to_json()}
        )
        if self.version > 1:
            document["references"] = packed_references(self.references)
        for key in (*FLAGS, *HASHES, "generation"):
            if not document[key]:
                del document[key]
        del document["sums"], document["lossy"], document["earlier_header_ids"]
        document |= sums_to_json(self.sums) | lossy_to_json(self.lossy)
        document |= earlier_to_json(self.earlier_header_ids)
        return sealed(document)

    @classmethod
    def from_bytes(cls, data: builtins.bytes, name: str) -> "Manifest":
        """Parse a manifest. `name`: the dataset's, for errors.

        Raises FormatError if it is damaged or of a newer version, and DatasetError if it is not that of a dataset.
        """
        try:
            document = parse_json(data)
            if document.get("format") != FORMAT:
                raise DatasetError(f"{name}: not a bams3 dataset: its {layout.METADATA} has another format")
            if type(document["version"]) is not int or document["version"] not in VERSIONS:
                raise FormatError(
                    f"dataset version {document['version']} is not supported; update bams3 to read it"
                )
            check_seal(document, data)
            document["references"] = unpacked_references(document["references"], document["version"])
            document["counts"] = Counts.from_json(document["counts"])
            document |= {flag: is_set(document, flag) for flag in FLAGS}
            document["sums"], document["lossy"] = sums_of(document), loss_of(document)
            document["earlier_header_ids"] = earlier_of(document)
            manifest = cls(**document)
            manifest._check()
            return manifest
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(
                f"{name}: damaged {layout.METADATA} ({error!r}); bams3 repair rebuilds it from the chunks"
            ) from error

    def _check(self) -> None:
        """Raise ValueError for invalid or contradictory values."""
        check_identity(self.header_id, self.level)
        check_earlier(self.earlier_header_ids, self.header_id, self.version)
        check_generation(self.generation, self.version)
        check_encodings(self.encodings)
        check_grid(self.references, self.chunk_size)
        if self.version in (3, JOINED) and not self.joined:
            raise ValueError("no contigs that could share a window")
        for hashed in (self.header_sha256, self.index_sha256):
            check_sha256(hashed, self.version)
        numbers = (
            self.records, self.chunks, self.bytes, self.header_bytes, self.header_crc32, self.index_bytes,
            self.index_crc32,
        )  # fmt: skip
        if not all(map(is_count, numbers)) or self.header_bytes > MAX_HEADER or self.index_bytes > MAX_INDEX:
            raise ValueError(f"invalid numbers {numbers!r}")
        self.counts.check(len(self.references))
        if self.records != self.counts.passed[0] + self.counts.failed[0]:
            raise ValueError(f"{self.records} records, but its counts add up to another number")
        if self.sums is not None:
            self.sums.check(self.counts.passed[1], self.counts.failed[1])


def is_joined(version: int) -> bool:
    """Tell whether contigs that are short enough share windows in a dataset of this version."""
    return version in (3, JOINED, HASHED_PATHS)


def sealed(document: dict[str, Any]) -> bytes:
    """Return a document as JSON, with one key per line. The last key is the CRC-32 of all bytes before its line."""
    lines = (
        f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in document.items()
    )
    text = ("{\n" + ",\n".join(lines) + ",\n").encode()
    return text + _SEAL + b"%d\n}\n" % zlib.crc32(text)


def check_seal(document: dict[str, Any], data: bytes) -> None:
    """Remove the checksum of a `sealed` document, and compare it with that of its bytes, `data`. Raises ValueError."""
    if document.pop("crc32", None) != zlib.crc32(data.rpartition(_SEAL)[0]):
        raise ValueError("its checksum is wrong")


def check_identity(identity: Any, level: Any) -> None:
    """Raise ValueError unless these are a valid `header_id` and level."""
    if not is_hex(identity, 32):
        raise ValueError(f"invalid header_id {identity!r}")
    if type(level) is not int or level not in LEVELS:
        raise ValueError(f"invalid level {level!r}")


def check_earlier(earlier: tuple[Any, ...], header: str, version: int) -> None:
    """Raise ValueError unless these are valid ids of earlier headers in a dataset of this `header_id` and version."""
    for identity in earlier:
        check_identity(identity, LEVELS[0])
    if len({header, *earlier}) <= len(earlier):
        raise ValueError("the id of a header is listed twice")
    if earlier and version not in (VERSION, IN_GENERATIONS, HASHED_PATHS):
        raise ValueError("earlier headers in a version that has none")


def check_generation(generation: Any, version: int) -> None:
    """Raise ValueError unless this is a generation that is valid in this version ("" if the dataset has none)."""
    without = generation == "" and version != IN_GENERATIONS
    if not (without or (version in (IN_GENERATIONS, HASHED_PATHS) and is_hex(generation, 16))):
        raise ValueError(f"invalid generation {generation!r}")


def check_grid(references: list[list[Any]], chunk_size: Any) -> None:
    """Raise ValueError or TypeError unless these are valid [name, length] of references and a valid chunk size."""
    names, lengths = [name for name, _ in references], [length for _, length in references]
    if not ({str}.issuperset(map(type, names)) and all(names) and are_counts(lengths, end=1 << 31)):
        raise ValueError("a reference with an invalid name or length")
    joined = "".join(names)
    joined.encode("utf-8", "surrogateescape")
    if not {"\t", "\n", "\r", "\0"}.isdisjoint(joined):
        raise ValueError("a reference with a name that cannot be represented in SAM")
    if len(set(names)) != len(names):
        raise ValueError("two references with the same name")
    if type(chunk_size) is not int or chunk_size not in layout.CHUNK_SIZES:
        raise ValueError(f"invalid chunk_size {chunk_size!r}")


def is_count(value: Any) -> bool:
    """Tell whether a value from JSON is a valid count: an int in [0, 2^63)."""
    return type(value) is int and 0 <= value < 1 << 63


def are_counts(values: list[Any], low: int = 0, end: int = 1 << 63) -> bool:
    """Tell whether all values are integers in [low, end)."""
    return not values or ({int}.issuperset(map(type, values)) and low <= min(values) and max(values) < end)


def is_hex(value: Any, digits: int) -> bool:
    """Tell whether a value is a string of this number of lower-case hex digits."""
    return isinstance(value, str) and len(value) == digits and not value.strip("0123456789abcdef")


def is_set(document: dict[str, Any], flag: str) -> bool:
    """Return a flag of a manifest or a part. Raises ValueError unless it is true or absent."""
    if document.get(flag, True) is not True:
        raise ValueError(f"invalid {flag} {document[flag]!r}")
    return flag in document


def check_sha256(value: Any, version: int) -> None:
    """Raise ValueError unless a value is a SHA-256 in hex digits, or "" if the version has none."""
    if not is_hex(value, 64 if version >= HASHED else 0):
        raise ValueError(f"invalid SHA-256 {value!r}")


def sums_to_json(sums: Sums | None) -> dict[str, Any]:
    """Return the sums as a key of a manifest or a part; no key if they are unknown."""
    return {} if sums is None else {"sums": sums.to_json()}


def sums_of(document: dict[str, Any]) -> Sums | None:
    """Parse the result of `sums_to_json`. Raises ValueError or TypeError if it is invalid."""
    return Sums.from_json(document["sums"]) if "sums" in document else None


def lossy_to_json(loss: Loss | None) -> dict[str, Any]:
    """Return a loss as a key of a manifest or a plan; no key if there was no loss. `loss_of` is the inverse."""
    return {} if loss is None else {"lossy": loss.to_json()}


def earlier_to_json(earlier: tuple[str, ...]) -> dict[str, Any]:
    """Return the ids of earlier headers as a key of a manifest or a plan; no key if there are none."""
    return {"earlier_header_ids": list(earlier)} if earlier else {}


def earlier_of(document: dict[str, Any]) -> tuple[Any, ...]:
    """Parse the result of `earlier_to_json`. Raises ValueError if it is not a list; the ids are not checked."""
    found = document.get("earlier_header_ids", ())
    if not isinstance(found, list | tuple) or (not found and "earlier_header_ids" in document):
        raise ValueError(f"invalid earlier_header_ids {found!r}")
    return tuple(found)


def header_id(header: Any) -> str:
    """Return the id of a BAM header: the first 32 hex digits of the SHA-256 of its bytes, magic to reference list."""
    return sha256_of(header.to_bam())[:32]


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of a document, in hex digits."""
    digest: str = _sha256()(data).hexdigest()
    return digest


@cache
def _sha256() -> Any:
    """Return the constructor of the built-in module, because hashlib loads OpenSSL, which takes 4 ms."""
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256  # before Python 3.12
        except ImportError:
            from hashlib import sha256
    return sha256
