"""What a writer writes at any level is what docs/format.md says: a reader of that page alone decodes it.

Each stream, codec and choice that the page names is met on the way.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import every_stream
import pytest
from bams3.operations.convert import convert
from every_stream import AT_LEVELS, CODECS, STREAMS
from reader.container import RowGroup
from reader.records import Records, read_records

PAGE = (Path(__file__).parents[2] / "docs/format.md").read_text()
CHOICES = {
    *(f"mate {rule}" for rule in range(8)), *(f"substitute {kind}" for kind in ("letter", "other")),
    *(f"flag.next {kind}" for kind in ("mirrored", "listed")), "flags of 16 bits", "hashes of names",
    *(f"derived {tag}" for tag in ("MD", "NM", "MC", "MQ", "ms")), "a length for all operations",
    *(f"column {coding}" for coding in ("as it is", "differences", "indices")), *(f"width {w}" for w in range(1, 5)),
    *(f"slot {kind}" for kind in ("number", "digits", "bases")),
}  # fmt: skip


def choices(group: RowGroup, records: Records) -> set[str]:
    """Which of CHOICES a row group has."""
    streams = group.streams
    found = {f"mate {rule}" for rule in streams["mate"]}
    found |= {f"substitute {'other' if v > 3 else 'letter'}" for v in streams.get("seq.substitute", b"")}
    found |= {f"flag.next {'listed' if k else 'mirrored'}" for k in streams.get("flag.next", b"")}
    found |= {"flags of 16 bits"} if "flag.values" not in streams else set()
    found |= {"hashes of names"} if "border" in streams and "border.hash" not in streams else set()
    found |= (
        {"a length for all operations"} if "cigar.length" in streams and "cigar.gap" not in streams else set()
    )
    layouts = streams["tag.layouts"]
    found |= {
        f"derived {name.decode()}"
        for name, kind in re.findall(rb"([A-Za-z]{2})(.)\0", layouts)
        if kind[0] & 128
    }
    return found | (slots(streams["name.patterns"]) if "name.patterns" in streams else set())


def slots(patterns: bytes) -> set[str]:
    """Which columns and slots names have."""
    found, at = set(), 1
    for _ in range(patterns[0]):
        coding = patterns[at]
        kind = "indices" if coding & 32 else "differences" if coding & 16 else "as it is"
        found |= {f"column {kind}", f"width {coding & 15}"}
        at += 1 + (1 + 4 * (patterns[at + 1] + 1) if coding & 32 else 0)
    kinds = Counter(
        "number" if c == 1 else "digits" if c < 10 else "bases" for c in patterns[at:] if 0 < c < 32
    )
    return found | {f"slot {kind}" for kind in kinds}


def test_the_page_names_these() -> None:
    for name in (*STREAMS, *AT_LEVELS, *CODECS):
        stem = re.sub(r"\.long$", "", name)
        if not stem.startswith("tag.") or stem in ("tag.layout", "tag.layouts", "tag.MM:Z.listed"):
            assert f"`{stem}`" in PAGE or f"`{stem.rpartition('.')[0]}`" in PAGE, name


@pytest.mark.parametrize("level", [1, 3, 4, 7, 9])  # those between differ only in how hard codecs try
def test_every_stream_and_codec(level: int, tmp_path: Path) -> None:
    (tmp_path / "x.bam").write_bytes(every_stream.bam())
    convert(tmp_path / "x.bam", tmp_path / "d.bams3", level=level, workers=1)
    codecs: set[str] = set()
    streams: set[str] = set()
    chosen: set[str] = set()
    decoded: list[bytes] = []
    for group, records in read_records(tmp_path / "d.bams3"):
        entries: dict[str, Any] = group.entry["streams"]
        codecs |= {codec for codec, *_ in entries.values()}
        streams |= entries.keys()
        assert group.streams.unread == set()
        chosen |= choices(group, records)
        decoded += [records.bam(i) for i in range(len(records.pos))]
    assert decoded == every_stream.records()
    wanted = STREAMS | {name for name, levels in AT_LEVELS.items() if level in levels}
    assert wanted - streams == set()
    assert streams & (AT_LEVELS.keys() - wanted) == set()
    assert CHOICES - chosen == set()
    assert codecs - {"rans1"} == CODECS - {"rans1"} - (set() if level == 9 else {"mixed"})
    assert "rans1" in codecs or level < 3  # there, only of long streams
