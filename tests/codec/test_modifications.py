"""MM: texts come back as they were, those that follow from bases are bits, and nonsense is refused."""

import random

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader.bases import Sequences
from reader.columns import cigars, partners
from reader.tags import Derived, tags
from row_groups import columns, decoded, encode, refusals

BASES = b"ACGTACGTACGGTACNTACGTCCGTACGAC"  # 7 A, 9 C, 8 G, 5 T, 1 N


def read(text: bytes, flag: int = 0, sequence: bytes = BASES, **fields: object) -> bytes:
    given_fields = {"pos": 100, "cigar": [(len(sequence), 0)], "quality": bytes(len(sequence))} | fields
    return hostile.record(
        ref=0, flag=flag, sequence=sequence, tags=[hostile.tag("MM", "Z", text)], **given_fields
    )


def by_the_document(streams: dict[str, bytes], records: list[bytes]) -> list[bytes]:
    """The tags of the records, as a decoder that follows docs/format.md has them."""
    group, cigar = columns(streams, records), cigars(streams)
    sequences, flag = Sequences(streams, list(group.pos), cigar), list(group.flag)
    derived = Derived(sequences, bytes(group.mapq), [], partners([-1] * len(flag), flag))
    return tags(streams, cigar, derived, flag)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        (b"C+m,0,1;", True),
        (b"C+m?,0,1;A+a.,2;", True),
        (b"C+hm,3;", True),
        (b"T-17596,4;G-m,0;", True),
        (b"A+a,6;", True),
        (b"A+a,0,0,0,0,0,0,0;", True),
        (b"A+a,8;", False),
        (b"A+a,0,0,0,0,0,0,0,0,0;", False),
        (b"C+m;", True),
        (b"C+m;" * 16, True),
        (b"C+m;" * 17, False),
        (b"C+m,0;" * 17, False),
        (b"", False),
        (b"C+m,0", False),
        (b"C+m,00;", False),
        (b"C+m,;", False),
        (b"C+m,-1;", False),
        (b"C+m,4294967297;", False),
        (b"C+m, 0;", False),
        (b"N+n,3;", False),
        (b"C+m?.,0;", False),
        (b"C+m1,0;", False),
        (b"C+;", False),
        (b"C*m,0;", False),
        (b"C+m,0;\t", False),
    ],
)
@pytest.mark.parametrize("flag", [0, 16])
def test_texts(text: bytes, spelled: bool, flag: int) -> None:
    sequence = BASES if flag == 0 else BASES.translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1]
    records = [read(text, flag, sequence)]
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    assert ("tag.MM:Z.listed" in streams) == spelled
    assert by_the_document(streams, records) == [b"MMZ" + text + b"\0"]
    assert "tag.MM:Z.listed" not in encode(records, level=3)


def test_without_bases_texts_are_kept() -> None:
    records = [read(b"C+m,0;", sequence=b"", cigar=[])]
    streams = encode(records)
    assert "tag.MM:Z.listed" not in streams
    assert decoded(streams, records) == b"".join(records)


groups = st.tuples(
    st.sampled_from([b"C+m", b"C+h?", b"A+a.", b"T-a", b"G-m", b"C+76792", b"N+n", b"U+x", b"C+"]),
    st.lists(st.integers(0, 4), max_size=9),
).map(lambda group: b",".join([group[0], *(b"%d" % skip for skip in group[1])]) + b";")
texts = st.one_of(
    st.lists(groups, max_size=5).map(b"".join), st.text("C+mh,;01?.", max_size=12).map(str.encode)
)


reads = st.tuples(texts, st.sampled_from([0, 16, 4]), st.text("ACGTN", max_size=60).map(str.encode))


@given(st.lists(reads, min_size=1, max_size=8))
def test_any_texts(given_reads: list[tuple[bytes, int, bytes]]) -> None:
    records = [read(text, flag, sequence) for text, flag, sequence in given_reads]
    streams = encode(records)
    assert decoded(streams, records) == b"".join(records)
    assert by_the_document(streams, records) == [b"MMZ" + text + b"\0" for text, _, _ in given_reads]


def cpg_reads() -> list[bytes]:
    """Reads that list every C before a G, and no other."""
    chance = random.Random(7)
    records = []
    for _ in range(40):
        sequence = bytes(chance.choices(b"ACGT", k=600))
        numbers, skips = [], 0
        for base, after in zip(sequence, sequence[1:] + b"A", strict=True):
            if base == ord("C"):
                numbers, skips = ([*numbers, skips], 0) if after == ord("G") else (numbers, skips + 1)
        text = b",".join([b"C+m?", *(b"%d" % number for number in numbers)]) + b";"
        records.append(read(text, sequence=sequence))
    return records


def test_what_bases_tell_takes_almost_nothing() -> None:
    assert len(encode(cpg_reads())["tag.MM:Z.listed"]) < 200


def test_nonsense_is_refused() -> None:
    assert refusals(cpg_reads(), ["tag.MM:Z", "tag.MM:Z.values", "tag.MM:Z.listed"], 200) > 100
