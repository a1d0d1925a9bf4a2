"""docs/format.md, "Dataset" and "Chunk": files, checksums, and where streams are."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from reader.codecs import inflate
from reader.integers import RowGroupStreams

MAGICS = {version: bytes.fromhex(f"42414d533300{version:02}0a") for version in (1, 2, 3)}
HOT = (
    "pos", "pos.long", "cigar", "cigar.long", "cigar.count", "cigar.count.long", "cigar.op", "cigar.length",
    "cigar.length.long", "cigar.gap", "cigar.gap.long", "rank", "rank.long", "link", "link.long", "border",
    "border.long", "border.hash", "flag", "flag.next", "flag.values", "mapq", "mate", "mate.ref", "mate.ref.long",
    "mate.pos", "mate.pos.long",
)  # fmt: skip


def dictionary() -> bytes:
    """The dictionary of footers: the lines after the heading of that name, joined."""
    text = (Path(__file__).parents[2] / "docs/format.md").read_text().partition("### Dictionary\n")[2]
    lines = [line[4:] for line in text.partition("\n## ")[0].splitlines() if line.startswith("    ")]
    return "".join(lines).encode()


class RowGroup(NamedTuple):
    """A row group: refID of its records, its object in the footer, its streams; if references share it, for each of
    them the refID, the number of records and the length."""

    reference_id: int
    entry: dict[str, Any]
    streams: RowGroupStreams
    contigs: Sequence[tuple[int, int, int]] = ()


def unzstd(data: bytes, dictionary: bytes = b"") -> bytes:
    known = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdDecompressor(dict_data=known if dictionary else None).decompress(data)


def read_manifest(folder: Path) -> dict[str, Any]:
    text = (folder / "_metadata.json").read_bytes()
    body, last = text[: text.rindex(b'"crc32"')], text[text.rindex(b'"crc32"') :]
    body = body[: body.rindex(b"\n") + 1]
    manifest: dict[str, Any] = json.loads(text)
    assert manifest["format"] == "bams3"
    assert manifest["version"] in (1, 2, 3, 4, 5, 6, 7)
    assert "earlier_header_ids" not in manifest or (
        manifest["earlier_header_ids"] and manifest["version"] in (4, 6, 7)
    )
    assert manifest["version"] == 7 or ("generation" in manifest) == (manifest["version"] == 6)
    assert zlib.crc32(body) == manifest["crc32"], last
    if isinstance(manifest["references"], str):
        assert manifest["version"] > 1
        manifest["references"] = json.loads(unzstd(base64.b64decode(manifest["references"])))
    return manifest


def path_component(name: str) -> str:
    """A contig's name as a component of a path."""
    raw = name.encode("utf-8", "surrogateescape")
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    out = "".join(
        chr(byte) if byte in plain and not (at == 0 and byte in b"._") else f"%{byte:02X}"
        for at, byte in enumerate(raw)
    )
    return out if len(out) <= 200 else f"{out[:167]}~{hashlib.sha256(raw).hexdigest()[:32]}"


def read_chunk(data: bytes) -> tuple[dict[str, Any], list[RowGroup]]:
    """The footer of a chunk and its row groups."""
    length, crc = struct.unpack_from("<II", data, len(data) - 16)
    stored = data[-16 - length : -16]
    version = data[6]
    assert data[:8] == data[-8:] == MAGICS[version]
    assert zlib.crc32(stored) == crc
    footer: dict[str, Any] = json.loads(unzstd(stored, dictionary() if version > 1 else b""))
    if version > 1:
        place_streams(footer)
    lengths = {reference: length for reference, _, length in footer["references"]}
    groups = []
    for entry in footer["row_groups"]:
        streams, joint = RowGroupStreams(), [0, 0]
        for name, (codec, offset, size, raw, checksum) in entry["streams"].items():
            part = data[offset : offset + size]
            if checksum is None:
                hot = is_hot(name, entry["streams"])
                joint[hot] = zlib.crc32(part, joint[hot])
            else:
                assert zlib.crc32(part) == checksum
            streams[name] = inflate(codec, part, raw)
        for found, told in zip(joint, entry.get("checksums", (None, None)), strict=True):
            assert found == (told or 0)
        if version < 3:
            groups.append(RowGroup(footer["reference_id"], entry, streams))
            continue
        contigs = [(contig, records, lengths[contig]) for contig, records, *_ in entry["contigs"]]
        entry["records"], entry["bytes"] = (sum(values[i] for values in entry["contigs"]) for i in (1, 2))
        groups.append(RowGroup(entry["references"][-1] + 1, entry, streams, contigs))
    return footer, groups


def is_hot(name: str, streams: Container[str]) -> bool:
    named = "border" in streams and "border.hash" not in streams
    return name in HOT or (named and name.startswith("name"))


def place_streams(footer: dict[str, Any]) -> None:
    """Let the streams of a footer of version 2 be those of version 1, with an offset and a checksum, or None."""
    at = 8
    for hot in (False, True):
        for entry in footer["row_groups"]:
            streams = entry["streams"]
            for name, told in streams.items():
                if is_hot(name, streams) == hot:
                    codec, size, raw, *checksum = told
                    assert bool(checksum) == (entry["checksums"][hot] is None)
                    streams[name] = [codec, at, size, raw, *(checksum or [None])]
                    at += size


def read_dataset(folder: Path) -> tuple[dict[str, Any], bytes, Iterator[RowGroup]]:
    """The manifest, the header's text, and all row groups in the order of the BAM."""
    manifest = read_manifest(folder)
    if manifest["version"] == 1:
        header = (folder / "_header.sam").read_bytes()
    else:
        header = unzstd((folder / in_generation("_header.sam.zst", manifest)).read_bytes())
    stored = (folder / in_generation("_index/chunks.json.zst", manifest)).read_bytes()
    assert (len(header), zlib.crc32(header)) == (manifest["header_bytes"], manifest["header_crc32"])
    assert (len(stored), zlib.crc32(stored)) == (manifest["index_bytes"], manifest["index_crc32"])
    bam = b"BAM\1" + struct.pack("<I", len(header)) + header + struct.pack("<I", len(manifest["references"]))
    for name, length in manifest["references"]:
        raw = name.encode("utf-8", "surrogateescape") + b"\0"
        bam += struct.pack("<I", len(raw)) + raw + struct.pack("<I", length)
    assert hashlib.sha256(bam).hexdigest()[:32] == manifest["header_id"]
    if manifest["version"] > 3:
        assert hashlib.sha256(header).hexdigest() == manifest["header_sha256"]
        assert hashlib.sha256(stored).hexdigest() == manifest["index_sha256"]
    return manifest, header, _row_groups(folder, manifest, index_of(stored)[0])


def in_generation(path: str, manifest: dict[str, Any]) -> str:
    """The path of the header or the index."""
    if "generation" not in manifest:
        return path
    assert re.fullmatch("[0-9a-f]{16}", manifest["generation"])
    return path.replace(".", f".{manifest['generation']}.", 1)


def _row_groups(folder: Path, manifest: dict[str, Any], index: list[Any]) -> Iterator[RowGroup]:
    piece = 0
    last_of = shared_windows(manifest)
    for stored, reference_id, start, end, size, footer_bytes, footer_crc32, row_groups, *more in index:
        path = re.sub(r"\.[0-9a-f]{16}\.chunk$", ".chunk", stored) if manifest["version"] > 5 else stored
        hashed = manifest["version"] == 7
        assert not hashed or re.fullmatch(r"data/[0-9a-f]{32}\.chunk", path)
        contigs, sha256 = (*more, [], "")[:2] if manifest["version"] < 4 else more
        if contigs:
            assert hashed or path == f"data/_contigs/{reference_id:09d}-{last_of[reference_id] + 1:09d}.chunk"
            assert (start, end) == (0, manifest["chunk_size"])
            assert len(contigs) == len(row_groups)
            assert all(last_of[contig] == last_of[reference_id] for contig in contigs)
        elif reference_id < 0:
            assert hashed or path == f"data/_unplaced/{piece:06d}.chunk"
            assert (start, end) == (piece, piece)
            piece += 1
        else:
            assert reference_id not in last_of
            contig = path_component(manifest["references"][reference_id][0])
            assert hashed or path == f"data/{contig}/{start:09d}-{end:09d}.chunk"
        data = (folder / stored).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256 or manifest["version"] < 4
        length, crc = struct.unpack_from("<II", data, len(data) - 16)
        assert (len(data), length + 16, crc) == (size, footer_bytes, footer_crc32)
        footer, groups = read_chunk(data)
        assert (footer["reference_id"], footer["start"], footer["end"]) == (reference_id, start, end)
        assert footer["dataset"] in (manifest["header_id"], *manifest.get("earlier_header_ids", ()))
        yield from groups


def shared_windows(manifest: dict[str, Any]) -> dict[int, int]:
    """For each reference that shares a window, the last of those that do."""
    if manifest["version"] not in (3, 5, 7):
        return {}
    size = manifest["chunk_size"]
    runs: list[tuple[list[int], int]] = []
    for number, (_, length) in enumerate(manifest["references"]):
        short = 8 * length <= size
        members, total = runs[-1] if runs else ([], 0)
        if short and members and total + length <= 4 * size and len(members) < 4096:
            runs[-1] = [*members, number], total + length
        else:
            runs.append(([number] if short else [], length))
    return {number: members[-1] for members, _ in runs if len(members) > 1 for number in members}


def index_of(stored: bytes) -> tuple[Any, Any]:
    """What is in the two frames of an index; None if there is one alone."""
    decoder = zstandard.ZstdDecompressor().decompressobj()
    entries = json.loads(decoder.decompress(stored))
    return entries, json.loads(unzstd(decoder.unused_data)) if decoder.unused_data else None
