"""SA, XA, OA: texts come back as they were, their CIGARs are stored apart, and nonsense is refused."""

import hostile
import pytest
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from reader.columns import cigars
from reader.tags import Derived, tags
from row_groups import decoded, encode

LONG = b"22611S6M1D9M3I2=1X5H"


def read(text: bytes, tag: str = "SA") -> bytes:
    return hostile.record(ref=0, pos=5, tags=[hostile.tag(tag, "Z", text)])


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        (b"chr1,100,+," + LONG + b",60,3;", [LONG]),
        (b"chr1,100,+," + LONG + b",60,3;chr2,7,-," + LONG[6:] + b",0,0;", [LONG, LONG[6:]]),
        (b"4,115,-,0M300000000N999999999S255I254P", [b"0M300000000N999999999S255I254P"]),
        (LONG, [LONG]),
        (b"chr1,+100," + LONG + b",3;", [LONG]),
        (b"chr1,100,+,50S100M,60,3;", []),  # too short to pay
        (b"a" + LONG, []),
        (LONG + b"a", []),
        (LONG + b"7", []),
        (b"1" + LONG[:-1], []),
        (LONG.replace(b"6M", b"06M"), []),
        (LONG.replace(b"6M", b"6B"), []),
        (LONG.replace(b"6M", b"M"), []),
        (LONG.replace(b"6M", b"1000000000M"), []),
        (LONG + b",\1", []),
        (b"", []),
    ],
)
@pytest.mark.parametrize("tag", ["SA", "XA", "OA", "YA"])
def test_texts(text: bytes, apart: list[bytes], tag: str) -> None:
    records = [read(text, tag), read(b"x", tag)]
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    operations = bytes(streams.get(f"tag.{tag}:Z.op", b""))
    expected = [bytes(b"MIDNSHP=X".index(c) for c in cigar if chr(c) not in "0123456789") for cigar in apart]
    assert operations == b"".join(codes + b"\x09" for codes in expected if tag != "YA")


texts = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(0, 10**10), st.sampled_from("MIDNSHP=XB")), max_size=9).map(
            lambda cigar: "".join(f"{length}{letter}" for length, letter in cigar)
        ),
        st.text("0123,;+-MS\1", max_size=4),
    ),
    max_size=8,
).map(lambda parts: ",".join(parts).encode())


@given(st.lists(texts, min_size=1, max_size=6))
def test_any_texts(given_texts: list[bytes]) -> None:
    records = [read(text) for text in given_texts]
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    by_the_document = tags(streams, cigars(streams), Derived(None, b"", [], []), [0] * len(records))
    assert by_the_document == [b"SAZ" + text + b"\0" for text in given_texts]


@pytest.mark.parametrize(
    "changed",
    [
        {".op": b"\0\x09"},
        {".op": b"\0\2\0\2\x0a"},
        {".op": b"\0\2\0\2"},
        {".op": b"\0\2\0\2\x09\x09"},
        {".op": b"\x09"},
        {".length": b"\5"},
        {".length": b"\5\5\5"},
        {".length": b"\5\xff"},
        {".gap": b""},
        {".gap.long": b"\0\0\0\0"},
        {"": b"\1\1\0"},
        {"": b"\0"},
    ],
)
def test_nonsense_is_refused(changed: dict[str, bytes]) -> None:
    records = [read(b"5M1D5M1D")]
    streams = encode(records)
    assert decoded(streams, records) == records[0]
    with pytest.raises(FormatError, match="SA:Z"):
        decoded(streams | {f"tag.SA:Z{suffix}": data for suffix, data in changed.items()}, records)
