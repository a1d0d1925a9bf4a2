"""The test vectors of docs/format.md are true: of the package, and of the reader that was written from the document."""

import re
from pathlib import Path

import hostile
import pytest
import row_groups
from bams3.codec import byte_model
from bams3.codec.rans import decode
from bams3.errors import FormatError
from reader.bases import Sequences, qualities
from reader.columns import cigars
from reader.container import read_chunk
from reader.entropy import RangeDecoder, rans
from reader.integers import name_hash
from reader.models import byte_model as read_bytes
from reader.modifications import Listed
from reader.records import Records
from row_groups import by_the_document

TEXT = (Path(__file__).parents[2] / "docs/format.md").read_text().split("## Test vectors")[1]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table that follows a heading, and of further ones after it."""
    table = TEXT.split(f"**{heading}.**")[1].split("\n\n**")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_range_coder() -> None:
    [[data, bits, number, adaptive]] = rows("Range coder")
    coder = RangeDecoder(bytes.fromhex(data))
    assert "".join(str(coder.bit("bit")) for _ in bits) == bits
    assert coder.number(5) == int(number)
    assert [coder.adaptive_number("number") for _ in range(2)] == [int(value) for value in adaptive.split()]
    assert coder.ended()


def test_rans() -> None:
    vectors = rows("rANS")
    assert [order for order, _, _ in vectors] == ["0", "1"]
    for order, stored, text in vectors:
        data = bytes.fromhex(stored)
        assert rans(data, len(text), int(order)) == text.encode()
        assert bytes(decode(data, len(text), int(order))) == text.encode()


def test_byte_model() -> None:
    [[stored, text]] = rows("Byte model")
    assert read_bytes(bytes.fromhex(stored), len(text)) == text.encode()
    assert bytes(byte_model.decode(bytes.fromhex(stored), len(text))) == text.encode()


def test_models_of_bases() -> None:
    """Of the reads in the first table, with each of the streams in the second one."""
    table = rows("Models of bases")
    given, stored = table[:2], {name: bytes.fromhex(data) for name, data in table[-4:]}
    reads = [
        hostile.record(
            ref=0, pos=int(pos) - 1, flag=int(flag), sequence=seq.encode(), name=b"r",
            cigar=[(int(n), "MIDNSHP=X".index(code)) for n, code in re.findall(r"(\d+)(\D)", cigar)],
            quality=bytes(ord(letter) - 33 for letter in qual), tags=[hostile.tag("MM", "Z", text.encode())],
        )
        for flag, pos, cigar, seq, qual, text, _ in given
    ]  # fmt: skip
    encoded = row_groups.encode(reads, level=9)
    assert encoded["tag.MM:Z.listed"] == stored.pop("tag.MM:Z.listed")
    group, flags = row_groups.columns(encoded, reads), [int(flag) for flag, *_ in given]
    sequences = Sequences(encoded, list(group.pos), cigars(encoded))
    assert ["".join(map(str, sequences._alignment(i))) for i in range(2)] == [kinds for *_, kinds in given]
    listed = Listed(encoded["tag.MM:Z.listed"], sequences, flags)
    assert [listed.text(i, b"C+m?;").decode() for i in range(2)] == [row[5] for row in given]
    plain = {name: data for name, data in encoded.items() if not name.startswith("qual")}
    for name, data in stored.items():
        streams = plain | {name: data, "qual.values": bytes([20, 30, 40])}
        assert [bytes(q + 33 for q in read).decode() for read in qualities(streams, sequences, flags)] == [
            row[4] for row in given
        ]
        assert row_groups.decoded(streams, reads) == b"".join(reads)


def arrays(text: str) -> list[int]:
    """The elements of an array of moves."""
    stride, *ones = re.findall(
        r"\d+", text.replace("ten times 1", "1 " * 10).replace("260 times 0", "0 " * 260)
    )
    return [int(value) for value in (stride, *ones)]


def test_kinetics() -> None:
    table = rows("Kinetics")
    given, stored = table[:2], {name: bytes.fromhex(data) for name, data in table[4:]}
    reads = [
        hostile.record(
            ref=0, pos=9, flag=int(flag), sequence=seq.encode(), name=b"r", cigar=[(10, 0)], quality=bytes(10),
            tags=[hostile.tag("fi", "BC", [int(value) for value in fi.split()]), hostile.tag("mv", "Bc", arrays(mv))],
        )
        for flag, seq, fi, mv in given
    ]  # fmt: skip
    assert_decoded(stored, reads)


def test_related_texts() -> None:
    table = rows("Related texts")
    given, stored = table[:5], {name: bytes.fromhex(data) for name, data in table[7:]}
    names = [b"r0", b"r1", b"r2", b"r2", b"r4"]
    reads = [
        hostile.record(
            ref=0, pos=9, flag=0, name=name, sequence=b"ACGT", cigar=[(4, 0)], quality=bytes(4),
            tags=[
                hostile.tag(tag, "Z", text.encode())
                for tag, text in zip(("CR", "CB", "UR", "UB"), texts, strict=True)
                if text
            ],
        )
        for name, texts in zip(names, given, strict=True)
    ]  # fmt: skip
    assert_decoded(stored, reads)


def assert_decoded(stored: dict[str, bytes], reads: list[bytes]) -> None:
    """The streams of tags that the page gives are those of the reads."""
    encoded = row_groups.encode(reads)
    streams = {name: data for name, data in encoded.items() if not name.startswith("tag.")} | stored
    assert row_groups.decoded(streams, reads) == b"".join(reads)
    rebuilt = by_the_document(streams, reads)
    assert [read[len(read) - len(tags) :] for read, tags in zip(reads, rebuilt, strict=True)] == rebuilt
    for name in stored:
        if len(stored[name]) > 1:
            with pytest.raises(FormatError):
                row_groups.decoded(streams | {name: stored[name][:-1]}, reads)


def test_name_hash() -> None:
    vectors = rows("Name hash")
    assert len(vectors) == 2
    assert all(name_hash(name.encode()) == int(value, 16) for name, value in vectors)


def test_chunk() -> None:
    part = TEXT.split("**A chunk**")[1]
    _, [group] = read_chunk(bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]+)$", part, re.M))))
    [sam] = re.findall(r"SAM is `(.*?)`", part)
    assert Records(group).sam(0, ["c"]).decode() == sam.replace(" ", "\t") + "\n"
