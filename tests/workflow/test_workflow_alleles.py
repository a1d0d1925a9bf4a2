"""The stage `alleles`: tables of each sample, and of all, as `bams3 alleles` prints them; what a new sample adds."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bams3.errors import Bams3Error
from bams3.workflow.alleles import join_counts
from workflows import CONFIG, planned, refusal, run, write_sheet

import bams3

ALLELES = CONFIG | {
    "alleles": {
        "sites": {"common": "sites.tsv", "some": "some.bed"},
        "min_mapq": 20, "min_baseq": 15, "exclude_flags": 1024, "incl_flags": 3, "count_orphans": True, "strands": True,
    }
}  # fmt: skip
OPTIONS = [
    "--min-mapq",
    "20",
    "--min-baseq",
    "15",
    "--excl-flags",
    "1024",
    "--incl-flags",
    "3",
    "--count-orphans",
]
OPTIONS += ["--strands"]


@pytest.fixture(scope="module")
def counted(cohort: Path, commands: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample that is converted, and a dataset with another name than its sample."""
    project = Path(shutil.copytree(cohort, tmp_path_factory.mktemp("counted") / "project"))
    bams3.convert(project / "S2.bam", project / "other.bams3", chunk_size="256K")
    write_sheet(project, ("S1", "S1.bam", ""), ("S2", "", "other.bams3"), columns="sample alignments dataset")
    (project / "some.bed").write_text("chr2\t1000\t1030\n")
    run(project, commands, ALLELES, "alleles")
    return project


def text_of(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def test_tables_are_those_of_the_command(counted: Path, commands: dict[str, str]) -> None:
    made = counted / "results/alleles"
    datasets = {"S1": "results/datasets/S1.bams3", "S2": "other.bams3"}
    for name, sites in ALLELES["alleles"]["sites"].items():
        tables = {f"{name}/{sample}": [dataset] for sample, dataset in datasets.items()}
        for table, paths in (tables | {name: [*datasets.values()]}).items():
            command = ["bams3", "alleles", *OPTIONS, "--sites", sites, *paths]
            done = subprocess.run(
                command, cwd=counted, env=commands, check=True, capture_output=True, text=True
            )
            assert text_of(made / f"{table}.tsv.gz") == re.sub("\tother\t", "\tS2\t", done.stdout)
            assert done.stdout.count("\n") > 30


def test_what_is_new_is_counted_alone(counted: Path, tmp_path: Path, commands: dict[str, str]) -> None:
    project = Path(shutil.copytree(counted, tmp_path / "project"))
    rows = [("S1", "S1.bam", ""), ("S2", "", "other.bams3"), ("S3", "", "other.bams3")]
    write_sheet(project, *rows, columns="sample alignments dataset")
    assert planned(project, ALLELES, "alleles") == {"count_alleles": 2, "gather_alleles": 2}
    shutil.copy(counted / "samples.tsv", project)
    more = {"alleles": ALLELES["alleles"] | {"sites": ALLELES["alleles"]["sites"] | {"more": "loci.bed"}}}
    (project / "loci.bed").write_text("chr1\t5\t9\n")
    assert planned(project, ALLELES | more, "alleles") == {"count_alleles": 2, "gather_alleles": 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.vcf", "chr9\t5\t.\tA\tC\n", "x.vcf: the samples have no contig chr9; they have chr1, chr2"),
        ("x.vcf", "chr1\t5\n", "x.vcf, line 1: not a site; expected CHROM, POS (1 or more), ID, REF (letters) and ALT"),
        ("x.bcf", "", "x.bcf: it can't be read: "),
        ("x.tsv.gz", "\x1f\x8bx", "cannot read x.tsv.gz: "),
    ],
)  # fmt: skip
def test_sites_that_are_none(project: Path, name: str, text: str, message: str) -> None:
    (project / name).write_bytes(text.encode("latin-1"))
    said = refusal(project, f"samples: samples.tsv\nalleles: {{sites: {{x: {name}}}}}\n")
    assert said.startswith(f"Error: config: alleles: sites: x: {message}")
    assert "\n" not in said


@pytest.mark.parametrize("other", ["a\tb\n1\n", "a\n1\n2\n", "a\n", ""])
def test_tables_that_differ_are_not_joined(tmp_path: Path, other: str) -> None:
    paths = [str(tmp_path / f"{name}.tsv.gz") for name in ("one", "two", "all")]
    for path, text in zip(paths, ("a\n1\n", other), strict=False):
        Path(path).write_bytes(gzip.compress(text.encode()))
    with pytest.raises(Bams3Error, match=r"one\.tsv\.gz: the tables of the samples differ"):
        join_counts(paths[2], paths[:2])
    assert not Path(paths[2]).exists()
