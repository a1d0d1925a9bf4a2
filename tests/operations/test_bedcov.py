"""Sums of depth over intervals as samtools bedcov prints them, byte for byte."""

from pathlib import Path

import pytest
from bams3.cli import main
from pileups import BAMS, CONTIGS, dataset_of, made, ours, theirs

BED = """\
#chrom\tbegin\tstop\twhat

track name=x
{a}\t100\t400\tname 1\r
{a}\t200\t250
# a comment
{b}\t131000\t131200\ta\tb\tc
{a}\t131000\t131090
browser hide all
{c}\t60\t60
{c}\t70\t160\t
{a} 269000 270300 blanks
{a}\t0\t9999999999
{b}\t0\t40
{a}\t200\t250
"""


@pytest.fixture(scope="module", params=BAMS)
def bam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = made(request.param, tmp_path_factory.mktemp(request.param))
    bed = BED.format(**dict(zip("abc", CONTIGS[request.param], strict=True)))
    Path(path).with_suffix(".bed").write_text(bed)
    return path


OPTIONS = [
    "",
    "-Q 20",
    "-j",
    "-d 3",
    "-d 3 -c -H",
    "-c",
    "-H -j",
    "-g DUP,SECONDARY,QCFAIL -c",
    "-G 16 -c -g UNMAP",
]


@pytest.mark.parametrize("options", OPTIONS)
def test_equals_samtools(bam: str, options: str, tmp_path: Path) -> None:
    dataset, bed = dataset_of(bam), bam.replace(".bam", ".bed")
    expected = theirs("bedcov", *options.split(), bed, bam, bam, out=tmp_path / "theirs")
    assert ours("bedcov", *options.split(), bed, dataset, dataset, out=tmp_path / "ours") == expected


def test_lone_chunks_and_other_contigs(bam: str, tmp_path: Path) -> None:
    dataset, bed = Path(bam).with_suffix(".bams3"), tmp_path / "bed"
    contig = CONTIGS[Path(bam).stem][1]
    bed.write_text(f"{contig}\t5\t900\n{contig}\t100\t131000\n")
    chunks = map(str, dataset.glob(f"data/{contig}/*.chunk"))
    assert ours("bedcov", str(bed), *chunks, out=tmp_path / "ours") == theirs(
        "bedcov", str(bed), bam, out=tmp_path / "theirs"
    )


ERRORS = {
    "chrN\t1\t2\n": "line 1: unknown contig 'chrN'",
    "#x\n{c}\t1\n": "line 2: expected contig, start and end",
    "{c}\t2\t1\n": "line 1: expected",
    "{c}\t-2\t1\n": "line 1: expected",
    "{c}\tx\t1\n": "line 1: expected",
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_in_bed(bam: str, text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bed").write_text(text.format(c=CONTIGS[Path(bam).stem][0]))
    dataset = dataset_of(bam)
    assert main(["bedcov", str(tmp_path / "bed"), dataset, "-o", str(tmp_path / "out")]) == 1
    assert ERRORS[text] in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "message"), {"-X": "leave this option out", "--max-depth=5": "-Q", "-d=0": "1 or more"}.items()
)
def test_options_that_are_refused(
    bam: str, option: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bedcov", *option.split("="), bam.replace(".bam", ".bed"), dataset_of(bam)]) == 1
    assert message in capfd.readouterr().err
