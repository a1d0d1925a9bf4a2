"""Joint calling: of more samples than files may be open at first, of damaged datasets; how places are made jobs."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pysam
import pytest
from bams3.errors import Bams3Error
from bams3.operations.call import call_jointly
from peers import need
from workflows import CONFIG, planned, write_sheet

from bams3 import convert

PLACES = [("chr1", 20_000, 24_000), ("chr2", 20_000, 22_000)]


@pytest.fixture(scope="module")
def dataset(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("bcftools")
    path = tmp_path_factory.mktemp("call") / "S1.bams3"
    convert(cohort / "S1.bam", path)
    return path


def limited(directory: Path, dataset: Path, reference: Path, samples: int, most: int) -> str:
    """Calls so many samples, all of one dataset, where `most` files may be open, and 64 at first; what is said."""
    program = (
        "import sys\nfrom bams3.errors import UsageError\nfrom bams3.operations.call import call_jointly\n"
        f"datasets = {{f's{{i}}': {str(dataset)!r} for i in range({samples})}}\n"
        f"try: call_jointly(datasets, {PLACES}, {str(reference)!r}, 'calls.bcf', open('log', 'w'), call='-m')\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, most)),
    )  # fmt: skip
    return done.stdout


def test_more_samples_than_files_at_first(dataset: Path, cohort: Path, tmp_path: Path):
    """All have the same, at the places that one alone has, too."""
    reference = cohort / "reference.fa"
    assert limited(tmp_path, dataset, reference, 60, 1000) == ""
    with open(tmp_path / "one.log", "w") as log:
        call_jointly({"S1": str(dataset)}, PLACES, str(reference), str(tmp_path / "one.bcf"), log, call="-m")
    found, alone = (
        {(record.contig, record.pos): record for record in pysam.VariantFile(str(tmp_path / name))}
        for name in ("calls.bcf", "one.bcf")
    )
    assert set(found) >= set(alone) != set()
    assert {contig for contig, _ in found} == {"chr1", "chr2"}
    for record in found.values():
        assert len(record.samples) == 60
        assert len({record.samples[f"s{i}"].alleles for i in range(60)}) == 1


def test_more_samples_than_files(dataset: Path, cohort: Path, tmp_path: Path):
    said = limited(tmp_path, dataset, cohort / "reference.fa", 300, 400)
    assert said == "700 files must be open at once, but the limit is 400; raise it (ulimit -Hn)\n"
    assert not (tmp_path / "calls.bcf").exists()


@pytest.mark.parametrize(
    ("option", "missing", "message"),
    [("", True, "the chunk is missing"), ("--no-such-option", False, "bcftools failed")],
)
def test_what_fails_leaves_nothing(
    dataset: Path, cohort: Path, tmp_path: Path, option: str, missing: bool, message: str
):
    copy = Path(shutil.copytree(dataset, tmp_path / "copy.bams3"))
    if missing:
        next(copy.glob("data/chr2/*.chunk")).unlink()
    samples = {"good": str(dataset), "bad": str(copy)}
    with open(tmp_path / "log", "w") as log, pytest.raises(Bams3Error, match=message):
        call_jointly(
            samples,
            PLACES,
            str(cohort / "reference.fa"),
            str(tmp_path / "out.bcf"),
            log,
            mpileup=option,
            call="-m",
        )
    assert {path.name for path in tmp_path.iterdir()} == {"copy.bams3", "log"}


@pytest.mark.parametrize(
    ("lengths", "window", "jobs"),
    [
        ([1000] * 400, 10_000, 40),
        ([1000] * 400, 1_000_000, 1),
        ([25_000, *[1000] * 40], 10_000, 3 + 4),  # five of the small ones go with the end of the long one
        ([9000, 9000, 1000, 1000], 10_000, 3),
    ],
)
def test_small_contigs_share_a_job(
    project: Path, commands: dict[str, str], lengths: list[int], window: int, jobs: int
):
    header = pysam.AlignmentHeader.from_references([f"c{i}" for i in range(len(lengths))], lengths)
    with pysam.AlignmentFile(project / "x.bam", "wb", header=header):
        pass
    pysam.index(str(project / "x.bam"))
    (project / "x.fa").write_text("".join(f">c{i}\n{'A' * length}\n" for i, length in enumerate(lengths)))
    pysam.faidx(str(project / "x.fa"))
    write_sheet(project, ("X", "x.bam"))
    config = CONFIG | {"reference": "x.fa", "call": {"window": window}}
    found = planned(project, config, "call")
    assert (found["call_window"], found["gather_calls"]) == (jobs, 1)
