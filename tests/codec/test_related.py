"""Texts that are like others come back as they were, take less than alone, and nonsense is refused."""

import random
import re
from unittest.mock import patch

import every_stream
import hostile
import pytest
from bams3.codec import encoder
from bams3.codec.partial import partial
from bams3.errors import FormatError
from hypothesis import given, settings
from hypothesis import strategies as st
from row_groups import by_the_document, columns, decoded, encode, refusals

CELLS = [bytes(random.Random(number).choices(b"ACGT", k=16)) for number in range(300)]


def read(name: bytes = b"r", flag: int = 0, **texts: bytes) -> bytes:
    """A read with texts as tags; those with a number in their name have the id before it."""
    tags = [hostile.tag(tag[:2], "Z", text) for tag, text in texts.items()]
    return hostile.record(ref=0, pos=9, flag=flag, name=name, sequence=b"ACGT", cigar=[(4, 0)], tags=tags)


def stored(records: list[bytes], level: int = 5) -> dict[str, bytes]:
    """Their streams, which decode to them, by the document too."""
    streams = encode(records, level=level)
    assert decoded(streams, records) == b"".join(records)
    rebuilt = by_the_document(streams, records)
    assert [
        record[len(record) - len(tags) :] for record, tags in zip(records, rebuilt, strict=True)
    ] == rebuilt
    return streams


def barcodes() -> list[bytes]:
    """Reads of cells, some with an error in the barcode or the UMI, several of each molecule."""
    return [hostile.record(ref=0, **fields) for fields in every_stream.barcodes()]


def test_what_other_tags_tell_is_not_stored() -> None:
    records = barcodes()
    streams = stored(records)
    assert all(f"tag.{tag}:Z.like" in streams for tag in ("CB", "UR", "UB"))
    for tag in ("CB", "UB"):
        sizes = [len(data) for name, data in streams.items() if name.startswith(f"tag.{tag}:Z")]
        assert sum(sizes) < 1.2 * len(records) + 400, "a byte for each, and few letters"
    assert streams["tag.CB:Z.ending"] == b"-1"


def test_mates_have_the_same_texts() -> None:
    chance = random.Random(2)
    records = []
    for number in range(100):
        umi, quality = bytes(chance.choices(b"ACGT", k=9)), bytes(chance.choices(b"#,:F", k=9))
        records += [read(b"r%d" % number, flag, RX=umi, QX=quality, MI=b"%d" % number) for flag in (65, 129)]
    streams = stored(records)
    assert streams["tag.RX:Z.like"] == b"\0\2" * 100
    assert len(streams["tag.RX:Z"]) == len(streams["tag.QX:Z"]) == 900


@pytest.mark.parametrize(
    ("texts", "likes"),
    [
        ([{"CR": b"AC", "CB": b"AC-1"}, {"CR": b"GG", "CB": b"GG-1"}], b"\2\2"),
        ([{"CR": b"AC", "CB": b"AC-1"}, {"CR": b"GG", "CB": b"GA-1"}, {"CR": b"GG", "CB": b"GG-2"}], b"\2\1\1"),
        ([{"CR": b"AC", "CB": b"AC-1"}, {"CR": b"GG", "CB": b"AA-1"}, {"CB": b"GG-1"}], b"\2\0\0"),
        ([{"CR": b"AC", "CB": b""}, {"CR": b"", "CB": b""}, {"CR": b"", "CB": b"-1"}], b"\0\2\0"),
        ([{"CR": b"AC", "CB": b"AC"}, {"CR": b"AC", "CB": b"AC", "CB2": b"AG", "CR2": b"GG"}], b"\2\2\1"),
        ([{"CR": b"A" * 256, "CB": b"A" * 256}, {"CR": b"A" * 256, "CB": b"A" * 255 + b"C"}], b"\2\0"),
    ],
)  # fmt: skip
def test_candidates(texts: list[dict[str, bytes]], likes: bytes) -> None:
    records = [read(b"r%d" % number, **each) for number, each in enumerate(texts)]
    with patch.object(encoder, "STREAM_COST", -999):  # so that the form with most streams is taken
        assert stored(records)["tag.CB:Z.like"] == likes


def test_earlier_texts_of_a_group() -> None:
    umis = [
        b"AA",
        b"CC",
        b"AA",
        b"GG",
        b"AA",
        b"CC",
        *(b"%d" % (11 * n) for n in range(1, 10)),
        b"AA",
        b"CC",
        b"AA",
    ]
    records = [read(b"r%d" % number, CR=b"GATT", UR=umi) for number, umi in enumerate(umis)]
    with (
        patch.object(encoder, "STREAM_COST", -999),
        patch.object(encoder, "compress", return_value=("", b"")),
    ):
        streams = stored(records)
    assert streams["tag.UR:Z.like"] == bytes(
        [0, 0, 3, 0, 3, 4, *[0] * 9, 0, 0, 3]
    )  # only eight are candidates


def test_one_tag_alone() -> None:
    records = barcodes()
    group = columns(encode(records), records)
    assert group.tag("ZZ") == [None] * len(records)
    for tag in ("UB", "CB"):
        assert all(
            f"{tag}Z{value}\0".encode() in record
            for value, record in zip(group.tag(tag), records, strict=True)
        )


def test_tags_that_others_are_stored_by_can_be_dropped() -> None:
    records = barcodes()
    made = partial(columns(encode(records), records), {"QNAME"}, lambda tag: tag == "UB")
    got, wanted = (re.findall(rb"UBZ([ACGT]*)\0", data) for data in (bytes(made.data), b"".join(records)))
    assert got == wanted
    assert b"CRZ" not in bytes(made.data)


letters = st.text("ACG", max_size=4).map(str.encode)


@st.composite
def any_read(draw: st.DrawFn) -> bytes:
    names = draw(
        st.lists(st.sampled_from(["CR", "CB", "UR", "UB", "RX", "BX", "MI", "CR2", "UB2"]), unique=True)
    )
    texts = {name: draw(letters) + draw(st.sampled_from([b"", b"-1", b"-1", b"-2"])) for name in names}
    return read(draw(st.sampled_from([b"a", b"b", b"c"])), 1, **texts)


@settings(max_examples=50)
@given(st.lists(any_read(), min_size=1, max_size=12), st.sampled_from([0, -999]))
def test_any_texts(records: list[bytes], stream_cost: int) -> None:
    with patch.object(encoder, "STREAM_COST", stream_cost):  # few streams, or many
        stored(records)


@pytest.mark.parametrize(
    "damage",
    [
        {".like": b""},
        {".like": b"\0" * 400},
        {".like": b"\x0a" * 400},
        {".like": b"\1" * 400},
        {".place": b""},
        {".place": b"\xff" * 99},
        {".letter": b"\0" * 99},
        {".letter": b""},
        {".ending": b"\0"},
        {".ending": bytes(range(1, 255)) * 99},
        {".length": b""},
        {".length": b"\xff" * 9, ".length.long": b"\xff" * 36},
        {".number": b"\7" * 400},
        {"": b""},
        {"": b"\0" * 400},
    ],
)
def test_malformed(damage: dict[str, bytes]) -> None:
    records = barcodes()
    streams = encode(records)
    with pytest.raises(FormatError, match=r"tag\.CB:Z"):
        decoded(streams | {"tag.CB:Z" + suffix: data for suffix, data in damage.items()}, records)


def test_nonsense_is_refused() -> None:
    records = barcodes()
    names = [name for name in encode(records) if name.startswith(("tag.CB:Z", "tag.UR:Z", "tag.UB:Z"))]
    assert refusals(records, names, 300) > 200
