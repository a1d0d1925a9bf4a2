"""Metadata that lie, with every length and checksum over them made right: as a hostile writer, or a mixed-up restore,
would leave them.

`rewrite` changes one document of a dataset (or of one in the making) and what vouches for it; `lies` are all the false
values of all the fields that a document has, found by walking it, so that none can be forgotten; `answers` is what
readers say then, and `complains` whether `verify` does.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import hostile
import zstandard
from bams3.bam.regions import parse_regions
from bams3.chunk.footer import MAGIC, TRAILER, is_hot
from bams3.coverage import depth_of
from bams3.dataset.manifest import sealed
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error
from bams3.operations import stats
from bams3.operations.verify import verify
from bams3.select.query import RecordFilter, count, query
from fuzz.mutate import footer_of, with_footer

MANIFEST, HEADER, INDEX = "_metadata.json", "_header.sam.zst", "_index/chunks.json.zst"
INDEXES = "_index/chunks."  # an index has a generation if reads were appended in a store
HUGE = 1 << 40
ZONE = ("records", "bytes", "min_pos", "max_pos", "max_end", "min_mapq", "max_mapq", "flags_any", "flags_all")

Change = Callable[[Any], Any]
"""Changes a document in place, or returns another."""


def read(dataset: Path, path: str) -> Any:
    """A document: of a dataset's file, or of a chunk's footer. The header is bytes."""
    data = (dataset / path).read_bytes()
    if path == HEADER:
        return zstandard.decompress(data)
    if path.startswith(INDEXES):
        return json.loads(zstandard.decompress(data))
    if path.endswith(".chunk"):
        return footer_of(data)
    document = json.loads(data)
    document.pop("crc32", None)
    return document


def rewrite(dataset: Path, path: str, change: Change, *, follow: bool = False) -> None:
    """Change a document; what tells its length and checksum follows. `follow`: so do the zones in the index, where it
    is a footer."""
    document = read(dataset, path)
    document = _changed(document, change)
    if path in (MANIFEST, HEADER) or path.startswith(INDEXES):
        _write(dataset, path, document)
    elif path.endswith(".chunk"):
        data = with_footer((dataset / path).read_bytes(), lambda told: (told.clear(), told.update(document)))
        (dataset / path).write_bytes(data)
        entries = _follow(read(dataset, INDEX), path, data, document if follow else None)
        _write(dataset, INDEX, entries)
        _write(dataset, MANIFEST, read(dataset, MANIFEST) | {"bytes": sum(entry[4] for entry in entries)})
    else:
        (dataset / path).write_bytes(sealed(document) if isinstance(document, dict) else _json(document))


def rewrite_stream(dataset: Path, path: str, stream: str, data: bytes) -> None:
    """Let a stream of a chunk of one row group hold other bytes, stored as they are; all that tells of it follows."""
    chunk, footer = (dataset / path).read_bytes(), read(dataset, path)
    body, (group,), at = bytearray(MAGIC), footer["row_groups"], len(MAGIC)
    group["checksums"] = [None, None]
    for name, entry in group["streams"].items():
        stored = chunk[at : at + entry[1]]
        at += entry[1]
        if name == stream:
            entry[0], entry[2], stored = "raw", len(data), data
        entry[1:] = len(stored), entry[2], zlib.crc32(stored)
        body += stored
    tail = chunk[-TRAILER.size - TRAILER.unpack(chunk[-TRAILER.size :])[0] :]
    (dataset / path).write_bytes(bytes(body) + tail)
    rewrite(dataset, path, lambda _: footer, follow=True)


def _changed(document: Any, change: Change) -> Any:
    other = change(document)
    return document if other is None else other


def _write(dataset: Path, path: str, document: Any) -> None:
    """Manifest, header or index; the manifest vouches for the others."""
    if path == MANIFEST:
        data = sealed(document) if isinstance(document, dict) else _json(document)
        (dataset / path).write_bytes(data)
        return
    stored = zstandard.compress(document if path == HEADER else _json(document))
    (dataset / path).write_bytes(stored)
    name, data = ("header", document) if path == HEADER else ("index", stored)
    told = {
        f"{name}_bytes": len(data),
        f"{name}_crc32": zlib.crc32(data),
        f"{name}_sha256": sha256(data).hexdigest(),
    }
    _write(dataset, MANIFEST, read(dataset, MANIFEST) | told)


def _follow(entries: list[list[Any]], path: str, data: bytes, footer: Any) -> list[list[Any]]:
    """The index, with what it tells of a chunk's bytes right; `footer`: and its zones."""
    length, checksum, _ = TRAILER.unpack(data[-TRAILER.size :])
    for entry in entries:
        if entry[0] == path:
            entry[4:7] = len(data), length + TRAILER.size, checksum
            entry[9] = sha256(data).hexdigest()
            if footer is not None:
                with suppress(KeyError, TypeError, IndexError, AttributeError):
                    entry[7] = [_zone(group) for group in footer["row_groups"]]
    return entries


def _zone(group: dict[str, Any]) -> list[Any]:
    stored = [0, 0]
    for name, entry in group["streams"].items():
        stored[not is_hot(name, group["streams"])] += entry[1]
    return [*(group[name] for name in ZONE), *stored]


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


# Lies


def lies(document: Any) -> Iterator[tuple[str, Any]]:
    """(what is false in it, document) for every value at any depth of a JSON document, and every way to falsify it."""
    text = _json(document)
    for place in _places(document, ()):
        for kind, lie in _KINDS.items():
            forged = json.loads(text)
            holder = forged
            for key in place[:-1]:
                holder = holder[key]
            if lie(holder, place[-1]) is not None and _json(forged) != text:
                yield f"{'.'.join(map(str, place))} {kind}", forged


def _places(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*place, key)
        yield from _places(value[key], (*place, key))


def _set(value: Callable[[Any], Any], fits: type | tuple[type, ...]) -> Callable[[Any, Any], Any]:
    def lie(holder: Any, key: Any) -> Any:
        if not isinstance(holder[key], fits):
            return None
        holder[key] = value(holder[key])
        return True

    return lie


def _swap(holder: Any, key: Any) -> Any:
    """With its neighbour, the next value of the same object or array."""
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    at = keys.index(key) + 1
    if at == len(keys):
        return None
    holder[key], holder[keys[at]] = holder[keys[at]], holder[key]
    return True


def _drop(holder: Any, key: Any) -> Any:
    del holder[key]
    return True


def _double(holder: Any, key: Any) -> Any:
    if isinstance(holder, dict):
        holder["surprise"] = copy.deepcopy(holder[key])
    else:
        holder.insert(key, copy.deepcopy(holder[key]))
    return True


def _rename(holder: Any, key: Any) -> Any:
    """Another key, in its place."""
    if not isinstance(holder, dict):
        return None
    items = [(f"{name}2" if name == key else name, value) for name, value in holder.items()]
    holder.clear()
    holder.update(items)
    return True


_KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "one more": _set(lambda value: value + 1, int),
    "one less": _set(lambda value: value - 1, int),
    "zero": _set(lambda _: 0, int),
    "huge": _set(lambda value: value + HUGE, int),
    "as a float": _set(float, int),
    "as text": _set(str, (int, list, dict)),
    "null": _set(lambda _: None, (int, str, list, dict)),
    "longer": _set(lambda value: value + "x", str),
    "empty": _set(lambda value: type(value)(), (str, list, dict)),
    "swapped": _swap,
    "dropped": _drop,
    "twice": _double,
    "renamed": _rename,
}


# A dataset, and what readers answer


def bam() -> bytes:
    """Pairs on chr1, overlapping, some across the border of windows; a few reads elsewhere."""
    tags = [hostile.tag("RG", "Z", b"a"), hostile.tag("NM", "C", 0)]
    made = []
    for number, pos in enumerate([*range(0, 262_000, 26_000), 262_100, *range(262_150, 300_000, 9_000)]):
        for flag, at in ((99, pos), (147, pos + 30)):
            fields: dict[str, Any] = {"next_ref": 0, "next_pos": pos + 30 if flag == 99 else pos}
            flag |= (0x400 if number == 3 else 0) | (0x200 if number == 5 else 0)
            made.append(
                hostile.good(0, at, flag=flag, name=b"r%d" % number, mapq=number, tags=tags, **fields)
            )
    made.append(hostile.good(0, 300, flag=0x100, name=b"s"))
    made += [
        hostile.good(1, 5, name=b"x", flag=97, next_ref=0, next_pos=5, tags=tags),
        hostile.record(name=b"u"),
    ]
    return hostile.bam(hostile.TEXT, hostile.CONTIGS, sorted(made, key=hostile.coordinate))


def answer_count(*regions: str, **options: Any) -> Callable[[DatasetReader], Any]:
    def answer(dataset: DatasetReader) -> int:
        chosen = parse_regions(regions, dataset.references) if regions else None
        return count(dataset, chosen, RecordFilter(**options))

    return answer


def answer_records(dataset: DatasetReader) -> bytes:
    """What to-bam writes."""
    return dataset.header.to_bam() + b"".join(
        bytes(block.data) for block in query(dataset, None, RecordFilter())
    )


def answer_depth(dataset: DatasetReader) -> Any:
    """Of every position that has reads; and the lengths."""
    references = range(len(dataset.references))
    return dataset.references, [
        bytes(depth_of(list(groups), reference_id, 0, 310_000).values())
        for reference_id, groups in zip(references, dataset.contigs_row_groups(references), strict=True)
    ]


def answer_batches(dataset: DatasetReader) -> int:
    return count(dataset.batch(1, 1), None, RecordFilter(min_mapq=3))


def answer_stats(dataset: DatasetReader) -> str:
    """What the manifest says twice: not how many records have which FLAG, nor what the index adds up to."""
    return stats.idxstats(dataset) + stats.summary(dataset).partition("references")[0]


COUNTS = {
    "count": answer_count(),
    "count of regions": answer_count("chr1:26100-262150", "chr2"),
    "count of reads": answer_count("chr1", require=2, exclude=0x400, min_mapq=4),
    "count of batches": answer_batches,
}
OTHERS = {"records": answer_records, "depth": answer_depth, "stats": answer_stats}


def answers(dataset: Path, readers: dict[str, Callable[[DatasetReader], Any]]) -> dict[str, Any]:
    """What each reader answers; those that refuse are left out."""
    found: dict[str, Any] = {}
    try:
        opened = DatasetReader(dataset)
    except Bams3Error as error:
        check_message(error)
        return found
    for name, answer in readers.items():
        try:
            found[name] = answer(opened)
        except Bams3Error as error:
            check_message(error)
    return found


def complains(dataset: Path) -> bool:
    try:
        return bool(list(verify(DatasetReader(dataset), strict=True)))
    except Bams3Error as error:
        check_message(error)
        return True


def check_message(error: Bams3Error) -> None:
    """What a command prints of it is one line."""
    assert "\n" not in str(error)
