"""The test vectors of docs/format.md are true: of the package, and of the reader that was written from the document."""

import re
from pathlib import Path

from bams3.codec.rans import decode
from reader.container import read_chunk
from reader.entropy import RangeDecoder, rans
from reader.integers import name_hash
from reader.records import Records

TEXT = (Path(__file__).parents[2] / "docs/format.md").read_text().split("## Test vectors")[1]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table that follows a heading."""
    table = TEXT.split(f"**{heading}.**")[1].split("\n\n**")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_range_coder() -> None:
    [[data, bits, number, adaptive]] = rows("Range coder")
    coder = RangeDecoder(bytes.fromhex(data))
    assert "".join(str(coder.bit("bit")) for _ in bits) == bits
    assert coder.number(5) == int(number)
    assert [coder.adaptive_number("number") for _ in range(2)] == [int(value) for value in adaptive.split()]


def test_rans() -> None:
    vectors = rows("rANS")
    assert [order for order, _, _ in vectors] == ["0", "1"]
    for order, stored, text in vectors:
        data = bytes.fromhex(stored)
        assert rans(data, len(text), int(order)) == text.encode()
        assert bytes(decode(data, len(text), int(order))) == text.encode()


def test_name_hash() -> None:
    vectors = rows("Name hash")
    assert len(vectors) == 2
    assert all(name_hash(name.encode()) == int(value, 16) for name, value in vectors)


def test_chunk() -> None:
    part = TEXT.split("**A chunk**")[1]
    _, [group] = read_chunk(bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]+)$", part, re.M))))
    [sam] = re.findall(r"SAM is `(.*?)`", part)
    assert Records(group).sam(0, ["c"]).decode() == sam.replace(" ", "\t") + "\n"
