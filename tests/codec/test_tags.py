"""Tags: layouts, values by kind, and those that follow from other fields."""

import hostile
import pytest
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from row_groups import aligned_reads, columns, decoded, derived, encode

BASES = b"ACGTACGTACGTACGTACGTACGTACGTAC"


def read(*tags: bytes, pos: int = 100, **fields: object) -> bytes:
    quality = bytes(20 for _ in BASES)
    given_fields = {"flag": 0, "cigar": [(30, 0)], "sequence": BASES, "quality": quality} | fields
    return hostile.record(ref=0, pos=pos, tags=tags, **given_fields)


@given(seed=st.integers(0, 10**9), count=st.integers(2, 30))
def test_tags_of_aligned_reads_are_derived(seed: int, count: int) -> None:
    """All tags that aligners and samtools fixmate write, of error-free reads: nothing of them is stored."""
    records = aligned_reads(seed, count, errors=0)
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    assert {"MD", "NM", "MC", "MQ", "ms"} <= derived(streams)
    assert not {name[4:6] for name in streams if name[:4] == "tag."} & {"MD", "NM", "MC", "MQ", "ms"}


@pytest.mark.parametrize(
    ("stored", "is_derived"),
    [
        (hostile.tag("NM", "C", 0), True),
        (hostile.tag("NM", "i", 0), True),
        (hostile.tag("NM", "c", 1), False),
        (hostile.tag("NM", "f", 0.0), False),
        (hostile.tag("NM", "Z", b"0"), False),
        (hostile.tag("MD", "Z", b"30"), True),
        (hostile.tag("MD", "Z", b"030"), False),
        (hostile.tag("MD", "Z", b"30\t"), False),
        (hostile.tag("MD", "H", b"30"), False),
        (hostile.tag("MC", "Z", b"30M"), False),  # no partner
        (hostile.tag("MQ", "C", 0), False),
        (hostile.tag("ms", "C", 0), False),
        (hostile.tag("XX", "C", 0), False),
    ],
)
def test_only_what_is_the_same_is_derived(stored: bytes, is_derived: bool) -> None:
    records = [read(stored), read(hostile.tag("MD", "Z", b"30"))]
    streams = encode(records)
    assert (stored[:2].decode() in derived(encode([read(stored)]))) == is_derived
    assert decoded(streams, records) == b"".join(records)


def test_derived_values_from_python() -> None:
    edited = read(hostile.tag("NM", "C", 2), hostile.tag("MD", "Z", b"3A4C21"))
    records = [edited, read(pos=101), read(hostile.tag("NM", "C", 9))]
    streams = encode(records)
    assert "MD" in derived(streams)
    group = columns(streams, records)
    assert group.tag("NM") == [2, None, 9]
    assert group.tag("MD") == ["3A4C21", None, None]


def test_a_value_too_large_for_its_type_is_not_derived() -> None:
    deletion = [(10, 0), (300, 2), (20, 0)]
    records = [
        read(hostile.tag("NM", kind, value), cigar=deletion) for kind, value in (("C", 44), ("S", 300))
    ]
    assert decoded(encode(records), records) == b"".join(records)


@pytest.mark.parametrize(("different", "records", "has_dictionary"), [(1, 2, True), (1, 1, False), (20, 40, True),
                         (20, 39, False), (255, 600, True), (256, 600, False)])  # fmt: skip
def test_texts_of_few_kinds_are_indices(different: int, records: int, has_dictionary: bool) -> None:
    made = [read(hostile.tag("XT", "Z", b"text%d" % (number % different))) for number in range(records)]
    streams = encode(made)
    assert ("tag.XT:Z.values" in streams) == has_dictionary
    assert decoded(streams, made) == b"".join(made)
    assert columns(streams, made).tag("XT") == [f"text{number % different}" for number in range(records)]


def test_many_layouts() -> None:
    """More than a table of them begins with, and tags more than once."""
    kinds = [hostile.tag(f"X{letter}", "C", 7) for letter in "abcdefgh"]
    chosen = [[tag for bit, tag in enumerate(kinds) if number >> bit & 1] for number in range(256)]
    records = [read(*tags, kinds[0]) for tags in chosen] * 2
    assert decoded(encode(records), records) == b"".join(records)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tag.layouts": b"\1\0XXZ"}, "middle of a layout"),
        ({"tag.layouts": b"\1\0XXq\0"}, "unknown type"),
        ({"tag.layouts": b"\1\0XX\xda\0"}, "cannot be derived: XX"),
        ({"tag.layouts": b"\1\0MC\xda\0"}, "has no value for record 1"),
        ({"tag.layout": b"\1"}, "no valid layout for record 1"),
        ({"tag.layout": b""}, "no valid layout for record 1"),
        ({"tag.XX:Z": b"\2"}, "has no value for record 1"),
        ({"tag.XX:Z": b""}, "has no value for record 1"),
        ({"tag.XX:Z.values": b"one\0two"}, "does not end with a complete text"),
        ({"tag.XX:Z.values": b"\0" * 256}, "more than 255 texts"),
        ({"tag.XX:Z": b"cut", "tag.XX:Z.values": b""}, "has no value for record 1"),
    ],
)
def test_streams_that_do_not_fit(changes: dict[str, bytes], message: str) -> None:
    records = [read(hostile.tag("XX", "Z", text)) for text in (b"one", b"two", b"one", b"two")]
    streams = encode(records) | changes
    with pytest.raises(FormatError, match=message):
        decoded(streams, records)
