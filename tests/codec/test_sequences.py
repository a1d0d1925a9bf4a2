"""SEQ as differences to a reference that the reads themselves make."""

import random
from collections.abc import Callable

import hostile
import pytest
from bams3.errors import FormatError
from hypothesis import given
from hypothesis import strategies as st
from row_groups import aligned_reads, columns, decoded, encode

SEQUENCE = b"ACGTTGCAGGATTACAGATTACCAGGTTAACC"


def read(pos: int, sequence: bytes = SEQUENCE, **fields: object) -> bytes:
    quality = bytes(30 for _ in sequence)
    given_fields = {"ref": 0, "flag": 0, "cigar": [(len(sequence), 0)], "quality": quality} | fields
    return hostile.record(pos=pos, sequence=sequence, **given_fields)


def changed(sequence: bytes, at: int, base: bytes) -> bytes:
    return sequence[:at] + base + sequence[at + 1 :]


@given(
    seed=st.integers(0, 10**9),
    count=st.integers(1, 40),
    with_md=st.sampled_from([0.0, 0.5, 1.0]),
    errors=st.sampled_from([0.0, 0.05, 0.9]),
)
def test_reads_of_one_genome(seed: int, count: int, with_md: float, errors: float) -> None:
    records = aligned_reads(seed, count, with_md=with_md, errors=errors)
    assert decoded(encode(records), records) == b"".join(records)


@pytest.mark.parametrize(
    ("records", "mismatches", "substitutes", "literals"),
    [
        pytest.param([read(100)] * 3, [0, 0, 0], b"", 0, id="alike"),
        # A to C, G to T; N and = stand as themselves.
        pytest.param([read(100), read(100, changed(SEQUENCE, 0, b"C"))], [0, 1], b"\1", 0, id="A to C"),
        pytest.param([read(100), read(100, changed(SEQUENCE, 3, b"A"))], [0, 1], b"\1", 0, id="T to A"),
        pytest.param([read(100), read(100, changed(SEQUENCE, 5, b"N"))], [0, 1], b"\x13", 0, id="to N"),
        pytest.param([read(100), read(100, changed(SEQUENCE, 5, b"="))], [0, 1], b"\4", 0, id="to ="),
        # What most reads tell is the reference, though the first told something else.
        pytest.param(
            [read(100, changed(SEQUENCE, 9, b"A")), read(100), read(100)], [1, 0, 0], b"\2", 0, id="outvoted"
        ),
        pytest.param([read(100, cigar=[(4, 4), (28, 0)])], [0], b"", 4, id="clipped"),
        pytest.param([read(100, cigar=[(4, 0), (2, 1), (26, 0)])], [0], b"", 2, id="inserted"),
        pytest.param([read(100, cigar=[])], [], b"", 32, id="not aligned"),
        pytest.param([read(-1)], [], b"", 32, id="no position"),
        pytest.param(
            [read(100, cigar=[(4, 0), (1 << 23, 3), (28, 0)])], [0], b"", 28, id="beyond the window"
        ),
        pytest.param(
            [read(100, cigar=[(4, 0), (1 << 23, 2), (28, 0)])], [0], b"", 28, id="a deletion as long"
        ),
    ],
)
def test_what_is_stored(
    records: list[bytes], mismatches: list[int], substitutes: bytes, literals: int
) -> None:
    streams = encode(records)
    assert list(streams.get("seq.mismatches", b"")) == mismatches
    assert streams.get("seq.substitute", b"") == substitutes
    assert len(streams.get("seq.literal", b"")) == (literals + 3) // 4
    assert decoded(streams, records) == b"".join(records)


@given(
    st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 20), st.text("ACGTN", min_size=4, max_size=90)),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 1 << 20),
)
def test_most_reads_tell_the_reference(given_reads: list[tuple[int, int, str]], gap: int) -> None:
    """Of A, C, G and T, the first that a read has at a position, or the one that more than half of the reads have."""
    given_reads = sorted(given_reads)
    given_reads += [(pos + gap, deleted, bases) for pos, deleted, bases in given_reads]
    told: dict[int, list[str]] = {}
    records = []
    for pos, deleted, bases in sorted(given_reads):
        cigar = [(2, 0), (deleted, 2), (len(bases) - 2, 0)] if deleted else [(len(bases), 0)]
        records.append(read(pos, bases.encode(), cigar=cigar))
        for at, base in enumerate(f"{bases[:2]}{'-' * deleted}{bases[2:]}", pos):
            told.setdefault(at, []).append(base)
    expected = []
    for _, bases_there in sorted(told.items()):
        known = [base for base in bases_there if base in "ACGT"]
        elected = [base for base in known if 2 * known.count(base) > len(bases_there)]
        expected.append((elected or known or ["A"])[0])
    streams = encode(records)
    packed = streams["reference"]
    assert "".join("ACGT"[packed[at // 4] >> 2 * (at % 4) & 3] for at in range(len(expected))) == "".join(
        expected
    )
    assert decoded(streams, records) == b"".join(records)


def test_md_tells_the_reference() -> None:
    """The base that all reads lack is in their MD, and wins over what a read without MD says."""
    md = hostile.tag("MD", "Z", b"9A22")
    records = [read(100), *(read(100, tags=[md]) for _ in range(3))]
    streams = encode(records)
    assert list(streams["seq.mismatches"]) == [1, 1, 1, 1]
    assert streams["seq.mismatch"] == b"\x09" * 4
    assert decoded(streams, records) == b"".join(records)


@pytest.mark.parametrize(
    "md", [b"", b"x", b"32A", b"99999999999999999999", b"^AC32", b"10^", b"0", b"5A5A5A5A5A5A5A5A5A"]
)
def test_an_md_that_is_none_does_no_harm(md: bytes) -> None:
    records = [read(100, tags=[hostile.tag("MD", "Z", md)]), read(105)]
    assert decoded(encode(records), records) == b"".join(records)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 31, 32, 33, 64, 65])
def test_every_base_and_pad(length: int) -> None:
    chance = random.Random(length)
    sequence = bytes(chance.choices(b"=ACMGRSVTWYHKDBN", k=length))
    for cigar in ([], [(length, 0)]):
        records = [read(100, sequence, cigar=cigar, pad=pad) for pad in (0, 7, 15)]
        assert decoded(encode(records), records) == b"".join(records)


def cut(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(streams: dict[str, bytes]) -> None:
        streams[name] = streams[name][:-1]

    return change


def longer(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(streams: dict[str, bytes]) -> None:
        streams[name] = streams.get(name, b"") + b"\1"

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut("reference"), "'reference' does not match"),
        (longer("reference"), "'reference' does not match"),
        (cut("seq.mismatches"), "no valid bases for record"),
        (cut("seq.mismatch"), "no valid bases for record"),
        (cut("seq.substitute"), "no valid bases for record"),
        (cut("seq.literal"), "no valid bases for record"),
        (longer("seq.literal"), "'seq.literal' does not match"),
        (cut("seq.literal.base"), "no valid bases|does not match"),
        (cut("seq.length"), "no valid length for record"),
        (lambda streams: streams.update({"seq.pad": b"\0" * 7}), "whole"),
        (lambda streams: streams.update({"seq.pad": b"\0\0\0\0\1\0\0\0"}), "invalid pad for record 1"),
        (lambda streams: streams.update({"seq.pad": b"\xff\0\0\0\1\0\0\0"}), "invalid pad for record 256"),
        (lambda streams: streams.update({"seq.mismatch": b"\x7f" * 99}), "no valid bases for record"),
        (lambda streams: streams.update({"seq.substitute": b"\0"}), "no valid bases for record 2"),
        (
            lambda streams: streams.update({"seq.substitute": b"\x08"}),
            "no valid bases for record 2",
        ),  # G, as it is
    ],
)
def test_streams_that_do_not_fit(change: Callable[[dict[str, bytes]], None], message: str) -> None:
    clipped = read(101, b"N" + SEQUENCE[1:], cigar=[(4, 4), (28, 0)])
    records = [read(100), read(100, changed(SEQUENCE, 2, b"A")), clipped]
    streams = encode(records)
    change(streams)
    with pytest.raises(FormatError, match=message):
        _ = columns(streams, records).seq
