"""Whatever samtools reads is converted, comes back bit for bit, and is found by queries as samtools finds it.

Reads far past the end of their contig (test_past_the_end), long CIGARs and odd tags as text (test_sam), pipes and BGZF
(test_ways_in, test_bgzf) have tests of their own; here is one case of each, among those that have none.
"""

import gzip
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.operations.verify import verify
from hostile import good, record, tag

UNMAPPED = {"cigar": [], "sequence": b"ACGTA", "quality": b"\x1e" * 5, "flag": 4}
RECORDS = {
    "tag name A!": good(tags=[tag("A!", "Z", b"x"), tag("NM", "C", 0)]),
    "tag names of digits and signs": good(tags=[tag(name, "c", -3) for name in ("11", "..", ":Z", "~ ")]),
    "tag names of control characters": good(tags=[tag("\x01\x7f", "Z", b"x"), tag("\x02\x03", "S", 7)]),
    "a tag twice": good(tags=[tag("XY", "i", 1), tag("XY", "i", 1), tag("RG", "Z", b"a"), tag("RG", "Z", b"b")]),
    "a tag twice, of two types": good(tags=[tag("NM", "C", 7), tag("NM", "Z", b"seven"), tag("NM", "f", 7.0)]),
    "numbers wider than they need be": good(tags=[tag("NM", kind, 3) for kind in "cCsSiI"]),
    "numbers that are none": good(tags=[tag("XF", "f", bytes(raw)) for raw in ((0, 0, 192, 127), (1, 0, 128, 255))]),
    "empty tags": good(tags=[tag("XZ", "Z", b""), tag("XH", "H", b""), tag("XB", "Bs", [])]),
    "hexadecimal digits, an odd number": good(tags=[tag("XH", "H", b"ABC")]),
    "far past the end": good(pos=5_000_000),
    "past the end by its CIGAR": good(1, 4990),
    "bases and CIGAR differ, unmapped": good(flag=4, cigar=[(49, 0)]),
    "bases and no CIGAR, mapped": good(cigar=[]),
    "a CIGAR and no bases": good(sequence=b"", quality=b""),
    "no bases, no CIGAR, mapped": good(sequence=b"", quality=b"", cigar=[]),
    "no qualities": good(quality=None),
    "unknown quality within others": good(quality=b"\x00\xff" * 25),
    "a quality above 93": good(quality=b"\x5e" * 50),
    "operations of length 0": good(cigar=[(0, 4), (50, 0), (0, 1), (0, 2), (0, 3)]),
    "clips within": good(cigar=[(10, 0), (5, 5), (10, 4), (5, 6), (30, 0)]),
    "nothing aligned": good(cigar=[(50, 4)]),
    "only a skip": good(sequence=b"", quality=b"", cigar=[(5000, 3)]),
    "POS without RNAME": record(ref=-1, pos=1000, **UNMAPPED),
    "POS without RNAME, mapped": good(-1, 1000),
    "mapped without a place": good(-1, -1),
    "RNAME without POS": record(ref=0, pos=-1, **UNMAPPED),
    "RNAME without POS, mapped": good(1, -1),
    "unmapped with a place and a CIGAR": good(flag=4),
    "a mate's place, not paired": good(next_ref=1, next_pos=7, tlen=99),
    "paired without a mate's place": good(flag=0x41),
    "PNEXT without RNEXT": good(flag=0x1, next_pos=7),
    "RNEXT without PNEXT": good(flag=0x1, next_ref=1),
    "a mate past the end of its contig": good(flag=0x1, next_ref=1, next_pos=900_000),
    "a length of nothing": good(flag=0x1, next_ref=0, next_pos=100, tlen=-(2**31)),
    "both first and last, all flags": good(flag=0xFFFF, mapq=255),
    "unused bits after odd bases": good(cigar=[(3, 0)], sequence=b"ACG", quality=b"\x09" * 3, pad=15),
    "a name of 254 letters": good(name=b"n" * 254),
    "a name like a header": good(name=b"@CO"),
    "no name": good(name=b""),
    "a wrong bin": good(bin=4),
}  # fmt: skip
NOT_AS_TEXT = {
    "tag names of digits and signs", "tag names of control characters", "hexadecimal digits, an odd number",
    "bases and CIGAR differ, unmapped", "bases and no CIGAR, mapped", "no bases, no CIGAR, mapped",
    "unknown quality within others", "RNAME without POS", "RNAME without POS, mapped", "RNEXT without PNEXT",
}  # fmt: skip
HEADERS = {
    "no lines": b"",
    "no @HD": hostile.TEXT.split(b"\n", 1)[1],
    "said to be unsorted": hostile.TEXT.replace(b"coordinate", b"unsorted"),
    "zeros after the text": hostile.TEXT + bytes(9),
    "no newline at the end": hostile.TEXT[:-1],
    "a read group twice": hostile.TEXT + b"@RG\tID:a\tSM:x\n@RG\tID:a\tSM:y\n",
    "other lengths than BAM's": hostile.TEXT.replace(b"5000", b"4999"),
    "contigs that BAM has not": hostile.TEXT + b"@SQ\tSN:more\tLN:5\n",
    "lines of no kind that is known": hostile.TEXT + b"@ZZ\tab:c\n@CO\tcaf\xc3\xa9\n",
}
REGIONS = ("chr1", "chr1:1-99", "chr1:101", "chr1:130-900", "chr1:1000001-", "chr2", "chr2:4995-5100")
RAW = hostile.bam_header(hostile.TEXT, hostile.CONTIGS) + good()
FILES = {
    "no end-of-file block": (hostile.bgzf(RAW)[: -len(hostile.END_OF_FILE)], ["--allow-truncated"]),
    "empty blocks within": (hostile.bgzf(RAW[:99]) + hostile.bgzf(RAW[99:]) + hostile.END_OF_FILE, []),
    "not compressed": (RAW, []),
    "plain gzip": (gzip.compress(RAW), []),
    "no records": (hostile.bam(hostile.TEXT, hostile.CONTIGS, []), []),
    "no contigs": (hostile.bam(b"@HD\tVN:1.6\n", [], [record(**UNMAPPED)]), []),
    "nothing at all": (hostile.bam(b"", [], []), []),
}


def view(*words: object) -> str:
    """What samtools prints."""
    text: str = pysam.samtools.view("--no-PG", *map(str, words))
    return text


def inflated(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def check(bam: Path, capfd: pytest.CaptureFixture[str], *options: str) -> None:
    """It comes back bit for bit, and prints as samtools prints it."""
    dataset, back = bam.with_suffix(".bams3"), bam.with_suffix(".back")
    assert main(["convert", *options, str(bam), str(dataset)]) == 0, capfd.readouterr().err
    assert list(verify(DatasetReader(str(dataset)), bam)) == [] or options
    assert main(["to-bam", str(dataset), str(back)]) == 0
    assert inflated(back) == inflated(bam)
    assert view("-h", back) == view("-h", bam)
    capfd.readouterr()
    assert main(["query", str(dataset)]) == 0
    assert capfd.readouterr().out == view(bam)


def check_queries(bam: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pysam.index(str(bam))
    for region in REGIONS:
        assert main(["query", str(bam.with_suffix(".bams3")), region]) == 0
        assert capfd.readouterr().out == view(bam, region), region


def named(cases: Iterable[str]) -> list[bytes]:
    """Their records and usual ones, in order."""
    usual = [good(pos=pos) for pos in (100, 120, 999_990)] + [good(1, 4000), record()]
    made = sorted([*(RECORDS[case] for case in cases), *usual], key=lambda each: each[8:12], reverse=True)
    return sorted(
        made, key=hostile.coordinate
    )  # those without RNAME by POS, as an index wants them: first -1


def test_records(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, named(RECORDS)))
    check(path, capfd)
    check_queries(path, capfd)


def as_text(cases: Iterable[str], folder: Path) -> Path:
    """SAM that samtools has written."""
    bam = folder / "in.bam"
    bam.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, named(cases)))
    sam = bam.with_suffix(".sam")
    sam.write_text(view("-h", bam))
    return sam


def test_records_as_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are what samtools reads, also where it silently takes a read for unmapped."""
    sam = as_text(RECORDS.keys() - NOT_AS_TEXT, tmp_path)
    assert main(["convert", str(sam), str(tmp_path / "d.bams3")]) == 0
    capfd.readouterr()
    assert main(["query", "-h", str(tmp_path / "d.bams3")]) == 0
    assert capfd.readouterr().out == view("-h", sam)


@pytest.mark.parametrize("case", sorted(NOT_AS_TEXT))
def test_records_that_samtools_changes_as_text(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Samtools warns and changes them, or refuses them: nothing is lost, since they are refused."""
    sam = as_text([case], tmp_path)
    with suppress(pysam.SamtoolsError):
        assert view("-h", sam) != sam.read_text()
    assert main(["convert", str(sam), str(tmp_path / "d.bams3")]) == 1
    assert str(sam) in capfd.readouterr().err


@pytest.mark.parametrize("case", HEADERS)
def test_headers(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.bam"
    path.write_bytes(hostile.bam(HEADERS[case], hostile.CONTIGS, [good(), good(1, 5)]))
    check(path, capfd)
    check_queries(path, capfd)


@pytest.mark.parametrize("case", FILES)
def test_files(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, options = FILES[case]
    path = tmp_path / "in.bam"
    path.write_bytes(data)
    if options:
        assert main(["convert", str(path), str(tmp_path / "refused.bams3")]) == 1
        assert options[0] in capfd.readouterr().err
    check(path, capfd, *options)
