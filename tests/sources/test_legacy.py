"""Datasets of the earlier BAMS3 writers: what they kept is converted, what they lost is said, damage is refused."""

import hashlib
import json
import os
import struct
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysam
import pytest
import zstandard
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import SourceError
from bams3.operations.convert import convert
from bams3.operations.verify import verify
from bams3.sources.bam import open_source
from peers import DATA

BAM = DATA / "illumina_chr22_NA12878.bam"
WINDOW = 1_000_000
CODES = {"A": 1, "C": 2, "G": 4, "T": 8}


def binary_record(read: pysam.AlignedSegment) -> bytes:
    name, seq = read.query_name.encode(), read.query_sequence or ""
    codes = [CODES.get(base, 15) for base in seq] + [0] * (len(seq) % 2)
    body = name + struct.pack(
        "<iiBH", read.reference_id, read.reference_start, read.mapping_quality, read.flag
    )
    body += b"".join(struct.pack("<I", n << 4 | op) for op, n in read.cigartuples or [])
    body += bytes(a << 4 | b for a, b in zip(codes[::2], codes[1::2], strict=True))
    body += bytes(33 + q for q in read.query_qualities or [])
    tags = read.get_tags()
    body += b"".join(tag.encode() + b"Z" + str(value).encode() + b"\0" for tag, value in tags)
    head = struct.pack("<IHHHH", 12 + len(body), len(name), len(seq), len(read.cigartuples or []), len(tags))
    return head + body


def binary(reads: list[pysam.AlignedSegment]) -> bytes:
    return struct.pack("<IHHII", 0x42414D33, 0x0200, 1, len(reads), 0) + b"".join(map(binary_record, reads))


def json_of(reads: list[pysam.AlignedSegment]) -> bytes:
    records = [
        {
            "name": read.query_name, "flag": read.flag, "ref": read.reference_id, "pos": read.reference_start,
            "mapq": read.mapping_quality, "cigar": read.cigarstring, "seq": read.query_sequence or "*",
            "qual": pysam.qualities_to_qualitystring(read.query_qualities) if read.query_qualities else "*",
            "tags": {tag: str(value) for tag, value in read.get_tags()},
        }
        for read in reads
    ]  # fmt: skip
    return json.dumps(records).encode()


def of_python(data: bytes) -> str:
    """The checksum of the Python writer."""
    return hashlib.sha256(
        b"".join(json.dumps(r, sort_keys=True).encode() for r in json.loads(data))
    ).hexdigest()


def of_go(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


WRITERS: dict[str, tuple[str, Callable[..., bytes], bool, Callable[[bytes], str]]] = {
    "python": ("0.1.0-poc", json_of, False, of_python),
    "json": ("0.1.0", json_of, True, of_go),
    "binary": ("0.2.0", binary, True, of_go),
    "binary, not compressed": ("0.2.0", binary, False, of_go),
}


def write(bam: Path, out: Path, writer: str) -> None:
    version, encode, compressed, checksum = WRITERS[writer]
    groups: dict[tuple[str, int], list[pysam.AlignedSegment]] = defaultdict(list)
    with pysam.AlignmentFile(bam, check_sq=False) as file:
        header = file.header.to_dict()
        for read in file:
            start = read.reference_start // WINDOW * WINDOW
            groups[("", 0) if read.is_unmapped else (read.reference_name, start)].append(read)
    chunks = []
    for (name, start), reads in reversed(groups.items()):
        path = f"data/{name}/{start:09d}-{start + WINDOW:09d}.chunk" if name else "data/unmapped.chunk"
        stored = encode(reads)
        told = checksum(stored)
        if compressed:
            stored = zstandard.compress(stored)
            told = checksum(stored)
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(stored)
        chunks.append(
            {"path": path, "reference": name or "*", "start": start, "reads": len(reads), "checksum": told}
        )
    total = sum(map(len, groups.values()))
    metadata = {"format": "bams3", "version": version, "chunks": chunks, "statistics": {"total_reads": total}}
    (out / "_metadata.json").write_text(json.dumps(metadata))
    kept = {
        "HD": header.get("HD"),
        "SQ": [{"SN": sq["SN"], "LN": sq["LN"]} for sq in header["SQ"]],
        "CO": None,
    }
    (out / "_header.json").write_text(json.dumps(kept))


@pytest.fixture(params=WRITERS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    out = tmp_path / "old.bams3"
    write(BAM, out, request.param)
    return out


def kept(bam: Path) -> list[tuple[Any, ...]]:
    """What the old formats keep, sorted: equal positions have no order of their own."""
    with pysam.AlignmentFile(bam) as file:
        return sorted(
            (
                read.reference_id & 0xFFFFFFFF, read.reference_start, read.query_name, read.flag, read.mapping_quality,
                read.cigarstring or "", "".join(b if b in "ACGT" else "N" for b in read.query_sequence or ""),
                list(read.query_qualities or []), sorted((tag, str(value)) for tag, value in read.get_tags()),
            )
            for read in file
        )  # fmt: skip


def test_what_was_kept_comes_back(old: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["convert", str(old), str(tmp_path / "new.bams3")]) == 0
    assert [message for message in caplog.messages if "did not keep mates" in message]
    assert main(["to-bam", str(tmp_path / "new.bams3"), str(tmp_path / "back.bam")]) == 0
    assert kept(tmp_path / "back.bam") == kept(BAM) != []
    with pysam.AlignmentFile(tmp_path / "back.bam") as file:
        read = next(read for read in file if read.has_tag("NM"))
        assert isinstance(read.get_tag("NM"), int)
        assert file.header.to_dict()["HD"]["SO"] == "coordinate"
    new = DatasetReader(str(tmp_path / "new.bams3"))
    assert not list(verify(new))
    assert list(verify(new, BAM))  # mates are missing


def _flip(folder: Path) -> None:
    path = next(folder.glob("data/*/*.chunk"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _pipe(folder: Path) -> None:
    path = next(folder.glob("data/*/*.chunk"))
    path.unlink()
    os.mkfifo(path)


def _edit(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "_metadata.json"
        document = json.loads(path.read_text())
        for key, value in changes.items():
            document["chunks"][0][key] = value
        path.write_text(json.dumps(document))

    return edit


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (_flip, "damaged chunk"),
    "a missing chunk": (lambda d: next(d.glob("data/*/*.chunk")).unlink(), "No such file"),
    "a pipe": (_pipe, "not a regular file"),
    "a path that leads out": (_edit(path="../x.chunk"), "leads out"),
    "a number of reads": (_edit(reads=3), "metadata say 3"),
    "no header": (lambda d: (d / "_header.json").unlink(), "_header.json"),
    "a header without contigs": (
        lambda d: (d / "_header.json").write_text('{"SQ": []}'),
        "not in the header",
    ),
    "half a character": (
        lambda d: (d / "_header.json").write_text('{"SQ": [{"SN": "chr22\\ud800", "LN": 9}]}'),
        r"'\\ud800', which is not a character",
    ),
    "a header that is none": (lambda d: (d / "_header.json").write_text("[]"), "damaged"),
    "no chunks": (
        lambda d: (d / "_metadata.json").write_text('{"format": "bams3", "version": "0.2"}'),
        "damaged",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused(old: Path, tmp_path: Path, case: str) -> None:
    change, message = DAMAGE[case]
    change(old)
    with pytest.raises(SourceError, match=message):
        convert(old, tmp_path / "new.bams3")
    assert not (tmp_path / "new.bams3/_metadata.json").exists()


def test_a_dataset_of_today_is_no_source(old: Path, tmp_path: Path) -> None:
    convert(BAM, tmp_path / "new.bams3")
    with pytest.raises(SourceError):
        open_source(str(tmp_path / "new.bams3"))
