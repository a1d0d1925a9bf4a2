"""The hostile files are what they claim: samtools keeps every byte of valid ones and refuses broken ones."""

import subprocess
from contextlib import suppress
from pathlib import Path

import hostile
import pysam
import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, settings
from hypothesis.errors import NoSuchExample
from malformed import malformed

# Broken, yet samtools 1.16 prints them without an error.
LENIENT = {
    "bad uncompressed size",
    "header: negative reference length",
    "header: reference name without NUL",
    "name without NUL",
    "NUL inside the name",
    "pos -2",
    "tag: only a name",
    "tag: a lone byte",
    "tag: no value",
    "order: positions fall",
    "order: contigs fall",
    "order: placed after unplaced",
    "order: no position after a position",
}


def samtools(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["samtools", *map(str, arguments)], capture_output=True)
    except FileNotFoundError:
        pytest.fail("samtools is needed to check the simulated files")


def records_of(data: bytes) -> list[bytes]:
    """The records of an uncompressed BAM."""

    def number(at: int) -> int:
        return int.from_bytes(data[at : at + 4], "little")

    at = 8 + number(4)
    references, at = number(at), at + 4
    for _ in range(references):
        at += 8 + number(at)
    records = []
    while at < len(data):
        records.append(data[at : at + 4 + number(at)])
        at += 4 + number(at)
    return records


def without_bin(record: bytes) -> bytes:
    """htslib recomputes the bin of whatever it reads."""
    return record[:14] + record[16:]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=hostile.bams())
def test_samtools_keeps_every_byte_of_a_valid_file(
    made: hostile.Bam, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.getbasetemp() / "hostile.bam"
    path.write_bytes(made.data())
    read = samtools("view", "--no-PG", "-u", "-o", path.with_suffix(".out"), path)
    assert read.returncode == 0, read.stderr
    with pysam.BGZFile(str(path.with_suffix(".out"))) as copy:
        kept = records_of(copy.read())
    assert list(map(without_bin, kept)) == list(map(without_bin, made.records))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=hostile.bams())
def test_samtools_prints_and_indexes_a_valid_file(
    made: hostile.Bam, tmp_path_factory: pytest.TempPathFactory
):
    at_no_position = sum(hostile.coordinate(record)[1] == -1 for record in made.records)
    assume(at_no_position < 2)  # samtools 1.16 takes the second one on a contig for unsorted
    path = tmp_path_factory.getbasetemp() / "indexed.bam"
    path.write_bytes(made.data())
    printed = samtools("view", path)
    assert (printed.returncode, printed.stdout.count(b"\n")) == (0, len(made.records)), printed.stderr
    assert samtools("index", "-c", path, path.with_suffix(".csi")).returncode == 0


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "r\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*"),
        ({"ref": 0}, "r\t4\tchr1\t0\t0\t*\t*\t0\t0\t*\t*"),
        ({"sequence": b"=ACMGRSVTWYHKDBN"}, "r\t4\t*\t0\t0\t*\t*\t0\t0\t=ACMGRSVTWYHKDBN\t*"),
        ({"sequence": b"ACG", "quality": b"\0\1\x28", "pad": 15}, 'r\t4\t*\t0\t0\t*\t*\t0\t0\tACG\t!"I'),
        (
            {"ref": 0, "pos": 9, "mapq": 255, "flag": 0, "cigar": [(3, 0), (0, 1), (9, 3), (1, 8), (2, 6)]},
            "r\t0\tchr1\t10\t255\t3M0I9N1X2P\t*\t0\t0\t*\t*",
        ),
        (
            {"next_ref": 1, "next_pos": 4, "tlen": -(2**31), "name": b"x" * 254},
            "x" * 254 + "\t4\t*\t0\t0\t*\tchr2\t5\t-2147483648\t*\t*",
        ),
        (
            {
                "tags": [
                    hostile.tag("ZZ", "Bs", [-1, 2]),
                    hostile.tag("XA", "A", b"q"),
                    hostile.tag("XH", "H", b"0F"),
                ]
            },
            "r\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\tZZ:B:s,-1,2\tXA:A:q\tXH:H:0F",
        ),
        (
            {"tags": [hostile.tag("XB", "BI", []), hostile.tag("XB", "c", -7)]},
            "r\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\tXB:B:I\tXB:i:-7",
        ),
    ],
)
def test_a_record_prints_as_its_fields(fields: dict, line: str, tmp_path: Path):
    path = tmp_path / "one.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [hostile.record(**fields)]))
    assert samtools("view", path).stdout.decode() == line + "\n"


def test_a_cigar_beyond_65535_operations_is_read_whole(tmp_path: Path):
    operations = [(1, i % 2) for i in range(70_000)] + [(1, 0)]
    long = hostile.record(ref=0, pos=5, flag=0, cigar=operations, sequence=b"A" * 70_001)
    (tmp_path / "long.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, [long]))
    with pysam.AlignmentFile(str(tmp_path / "long.bam"), check_sq=False) as opened:
        (read,) = opened
    assert read.cigartuples == [(operation, length) for length, operation in operations]


@pytest.mark.parametrize(("what", "data"), [pytest.param(*case, id=case[0]) for case in malformed()])
def test_samtools_refuses_a_broken_file(what: str, data: bytes, tmp_path: Path):
    path = tmp_path / "broken.bam"
    path.write_bytes(data)
    assert (samtools("view", "-h", path).returncode == 0) == (what in LENIENT)


RARE = {
    "no records": lambda made: not made.records,
    "no references": lambda made: not made.references,
    "no @SQ though references": lambda made: bool(made.references) and b"@SQ" not in made.text,
    "NUL after the text": lambda made: made.text.endswith(b"\0"),
    "a contig of 2^31 - 1": lambda made: any(length == hostile.LAST for _, length in made.references),
    "the same name twice": lambda made: len({name_of(record) for record in made.records}) < len(made.records),
    "half placed": lambda made: any(record[8:12] == b"\xff" * 4 != record[4:8] for record in made.records),
    "over 65,535 bases": lambda made: any(len(record) > 90_000 for record in made.records),
    "over 65,535 operations": lambda made: any(b"CGBI" in record for record in made.records),
    "a NaN": lambda made: any(b"f\0\0\xc0\x7f" in record for record in made.records),
}


def name_of(record: bytes) -> bytes:
    return record[36 : 36 + record[12]]


def test_the_strategies_reach_the_rare_cases() -> None:
    """Tests that use the strategies do meet each rare case."""
    missing = dict(RARE)

    def all_are_met(made: hostile.Bam) -> bool:
        for what in [what for what, is_met in missing.items() if is_met(made)]:
            del missing[what]
        return not missing

    patient = settings(max_examples=3000, database=None, phases=[Phase.generate])
    with suppress(NoSuchExample):
        find(hostile.bams(), all_are_met, settings=patient)
    assert not missing
