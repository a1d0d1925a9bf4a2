"""Kinetics: elements come back as they were, bases tell what they can, and nonsense is refused."""

import random
import struct
from unittest.mock import patch

import hostile
import pytest
from bams3.codec import encoder
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from row_groups import by_the_document, columns, decoded, encode, refusals

TURNED = bytes.maketrans(b"ACGT", b"TGCA")


def read(sequence: bytes, flag: int, arrays: dict[str, list[int]]) -> bytes:
    """A read with arrays, by id and subtype."""
    return hostile.record(
        ref=0, pos=9, flag=flag, sequence=sequence, cigar=[(len(sequence), 0)], quality=bytes(len(sequence)),
        tags=[hostile.tag(name[:2], "B" + name[2], values) for name, values in arrays.items()],
    )  # fmt: skip


def polymerase_reads(name: str, *, against: bool, count: int = 24) -> list[bytes]:
    """Reads whose numbers follow from two bases, the one at hand and the fourth before, as the polymerase met them."""
    chance = random.Random(5)
    out = []
    for number in range(count):
        sequence = bytes(chance.choices(b"ACGT", k=400))
        turned = sequence.translate(TURNED)[::-1]
        flag = 16 * (number % 2)
        met = b"CCCC" + (turned if bool(flag) != against else sequence)
        values = [10 * b"ACGT".index(met[k]) + b"ACGT".index(met[k + 4]) for k in range(400)]
        out.append(read(sequence, flag, {name: values}))
    return out


@pytest.mark.parametrize("name", ["ipC", "pwS", "fiC", "fpS", "riC", "rpS"])
def test_what_bases_tell_is_not_stored(name: str) -> None:
    records = polymerase_reads(name, against=name[0] == "r")
    streams = encode(records)
    stream = f"tag.{name[:2]}:B{name[2]}"
    assert decoded(streams, records) == b"".join(records)
    assert by_the_document(streams, records) == [
        record[-(8 + 400 * (1 + (name[2] == "S"))) :] for record in records
    ]
    assert stream not in streams
    by_bases, alone = len(streams[stream + ".tables"]), len(encode(records, level=3)[stream])
    assert by_bases < (0.4 if name[2] == "C" else 0.2) * alone


def paced(values: list[int], sequence: bytes = b"", name: str = "ipS", count: int = 1) -> dict[str, bytes]:
    records = [read(sequence, 0, {name: values}) for _ in range(count)]
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    return streams


def test_only_such_arrays_are_stored_so() -> None:
    chance = random.Random(3)
    skewed = [min(int(chance.expovariate(0.1)), 200) for _ in range(4000)]
    slow = [value + 40 * (place // 500 % 2) for place, value in enumerate(skewed)]
    assert "tag.ip:BS.tables" in paced(slow)
    assert "tag.ip:BC.tables" in paced(slow, name="ipC")
    assert "tag.ip:BS.tables" not in paced([value * place % 65536 for place, value in enumerate(slow)])
    assert "tag.ip:BS.tables" not in paced([7] * 4000)
    assert "tag.ip:Bs.tables" not in paced(slow, name="ips")
    assert "tag.ii:BS.tables" not in paced(slow, name="iiS")
    records = [read(b"", 0, {"ipS": slow})]
    assert not any(name.endswith(".tables") for name in encode(records, level=3))


def dwells_of(chance: random.Random, sequence: bytes) -> list[int]:
    """Moves whose dwells follow from two bases."""
    out = [5]
    for k in range(len(sequence)):
        out += [1] + [0] * (
            b"ACGT".index(sequence[k]) + 4 * b"ACGT".index(sequence[k - 2]) + chance.randrange(2)
        )
    return out


def test_moves_are_dwells() -> None:
    chance = random.Random(4)
    records = []
    for number in range(20):
        sequence = bytes(chance.choices(b"ACGT", k=300))
        moved = sequence.translate(TURNED)[::-1] if number % 2 else sequence
        records.append(read(sequence, 16 * (number % 2), {"mvc": dwells_of(chance, moved)}))
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    assert by_the_document(streams, records) == [record[record.index(b"mvBc") :] for record in records]
    assert (
        len(streams["tag.mv:Bc.tables"]) < 0.4 * 20 * 300
    )  # 32 dwells take 5 bits, but one is left by the bases


@pytest.mark.parametrize(
    ("arrays", "stored"),
    [
        ([[5, 1, 0, 1], [6]], True),
        ([[5, 1, *[0] * 254], [5, 1, *[0] * 255], [5, 1, *[0] * 300, 1]], True),
        ([[-5, 1]], True),
        ([[5, 0, 1]], False),
        ([[5, 1, 2]], False),
        ([[5, 1, 0, -1]], False),
        ([[5, 1], []], False),
    ],
)
def test_moves(arrays: list[list[int]], stored: bool) -> None:
    records = [read(b"AC", 0, {"mvc": values}) for values in arrays]
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    assert by_the_document(streams, records) == [record[record.index(b"mvBc") :] for record in records]
    assert ("tag.mv:Bc.stride" in streams) == stored
    assert "tag.mv:Bc.stride" not in encode(records, level=3)


@pytest.mark.parametrize(
    "damage",
    [
        {"": b"\1\1"},
        {"": b"\1\1\1\1"},
        {".count": struct.pack("<2I", 1, 1)},
        {".count": struct.pack("<I", 3)},
        {".stride": b"\5"},
        {"": b"\1\1\0"},
        {"": b"\1\1\0", ".long": bytes(4)},
        {"": b"\1\1\0", ".long": b"\xff" * 4},
        {".long": b"\1\0\0\0"},
    ],
)
def test_malformed_moves(damage: dict[str, bytes]) -> None:
    records = [read(b"AC", 0, {"mvc": [5, 1, 1]}), read(b"A", 0, {"mvc": [5, 1]})]
    streams = encode(records)
    with pytest.raises(FormatError):
        decoded(streams | {"tag.mv:Bc" + suffix: stored for suffix, stored in damage.items()}, records)


names = st.sampled_from(["ipC", "pwC", "fiS", "rpC", "riS", "ipI", "fic", "mvc"])
sequences = st.text("ACGTN", max_size=40).map(str.encode)
few = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 127)), max_size=60)


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """A read with arrays of any length, that of the read among them."""
    sequence = draw(sequences)
    given_arrays = {}
    for name in draw(st.sets(names, max_size=4)):
        values = draw(few)
        if draw(st.booleans()):
            values = (values + [1] * len(sequence))[: len(sequence)]
        if name == "mvc" and draw(st.booleans()):
            values = [5, 1, *(value % 2 for value in values)]
        given_arrays[name] = values
    return read(sequence, draw(st.sampled_from([0, 16, 4, 2064])), given_arrays)


@given(st.lists(arrays(), min_size=1, max_size=5))
def test_any_arrays(records: list[bytes]) -> None:
    with patch.object(
        encoder, "compress", return_value=("raw", bytes(1 << 20))
    ):  # so that tables are always smaller
        streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    rebuilt = by_the_document(streams, records)
    assert [record[len(record) - len(tag) :] for record, tag in zip(records, rebuilt, strict=True)] == rebuilt


def test_one_tag_alone() -> None:
    records = polymerase_reads("riC", against=True)
    group = columns(encode(records), records)
    values = group.tag("ri")
    assert [value[5:] for value in values] == [record[-400:] for record in records]
    assert group.tag("fi") == [None] * len(records)


@pytest.mark.parametrize(
    ("suffix", "stored", "said"),
    [
        (".count", b"", "does not have a number for each array"),
        (".count", b"\xff" * 96, "more elements than fit"),
        (".count", bytes(96), "does not match the arrays"),
        (".count", struct.pack("<24I", *[400] * 23, 399), "does not match the arrays"),
        (".values", b"", "2 to 256 values"),
        (".values", b"\1\2\3", "2 to 256 values"),
        (".values", bytes(514), "2 to 256 values"),
        (".values", b"\1\0", "2 to 256 values"),
        (".tables", b"\0", "truncated"),
        (".tables", b"\xff" * 40, "truncated"),
        (".tables", struct.pack("<I", 40) + b"\xff" * 80, "damaged table"),
        (".tables", struct.pack("<I", 40) + bytes(80), "damaged"),
    ],
)
def test_malformed(suffix: str, stored: bytes, said: str) -> None:
    records = polymerase_reads("fpS", against=False)
    streams = encode(records)
    with pytest.raises(FormatError, match=said):
        decoded(streams | {"tag.fp:BS" + suffix: stored}, records)


def test_nonsense_is_refused() -> None:
    names = [f"tag.ip:BC{each}" for each in (".tables", ".tables", ".values", ".count")]
    assert refusals(polymerase_reads("ipC", against=False, count=8), names, 300) > 200
