"""What must agree with the samples is compared before anything runs: FASTA, BED files, regions, read groups …"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysam
import pytest
from bams3.workflow import checks, samples
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run
from bams3.workflow.places import Places
from workflows import CONFIG, OF_THE_COHORT, plan, told

from bams3 import convert

# In the workflow: what is written, the configuration, and how the error begins; None: it can be planned.
COVERAGE = {"coverage": {}}
CALLING = {"reference": "reference.fa", "call": {}}


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def renamed(folder: Path) -> None:
    """A FASTA of contigs without chr."""
    text = (folder / "reference.fa").read_text().replace(">chr", ">")
    (folder / "other.fa").write_text(text)
    pysam.faidx(str(folder / "other.fa"))


def another(folder: Path) -> None:
    """A FASTA with a dictionary, and a sample of other sequences."""
    shutil.copy(folder / "reference.fa", folder / "other.fa")
    pysam.faidx(str(folder / "other.fa"))
    pysam.dict("-o", str(folder / "other.dict"), str(folder / "other.fa"), catch_stdout=False)
    with pysam.AlignmentFile(str(folder / "S1.bam")) as bam:
        header = bam.header.to_dict()
    for line in header["SQ"]:
        line["M5"] = f"{0:032}"
    with pysam.AlignmentFile(str(folder / "x.bam"), "wb", header=header):
        pass  # without reads
    pysam.index(str(folder / "x.bam"))
    (folder / "samples.tsv").write_text("sample\talignments\nS1\tx.bam\n")


def stale(folder: Path) -> None:
    text = (folder / "reference.fa").read_text()
    (folder / "reference.fa").write_text(text.replace(">chr2", ">chr2 and its name"))


def remove_fai(folder: Path) -> None:
    (folder / "reference.fa.fai").unlink()


def of_cram(folder: Path) -> None:
    arguments = (
        "-C",
        "-T",
        str(folder / "reference.fa"),
        "-o",
        str(folder / "S.cram"),
        str(folder / "S1.bam"),
    )
    pysam.view(*arguments, catch_stdout=False)
    pysam.index(str(folder / "S.cram"))
    (folder / "samples.tsv").write_text("sample\talignments\nS1\tS.cram\n")
    renamed(folder)


def datasets(folder: Path) -> None:
    convert(folder / "S1.bam", folder / "D.bams3", chunk_size="256K")
    (folder / "samples.tsv").write_text("sample\tdataset\nS1\tD.bams3\n")


IDENTITY = {"identity": {"sites": "x.vcf"}}
OTHER = write("x.bed", "1\t0\t5000\tg\n")
SECTIONS: list[tuple[Any, dict[str, Any], str | None]] = [
    (None, {"query": {"regions": ["chr9"]}}, "config: query: regions: unknown contig 'chr9'"),
    (None, {"query": {"regions": ["chr1", "1:5-9"]}}, "config: query: regions: unknown contig '1' (region "),
    (None, {"query": {"regions": ["chr1:500-100"]}}, "config: query: regions: region 'chr1:500-100': the start"),
    (None, {"query": {"regions": ["chr1:600000-"]}}, "config: query: regions: region 'chr1:600000-': the start"),
    (None, {"query": {"regions": ["chr1"], "filter": "mapq >"}}, "config: query: filter: "),
    (None, {"query": {"regions": ["chr1"], "filter": "mapqq > 5"}}, "config: query: filter: "),
    (None, {"coverage": {"chrom": "chr20"}}, "config: coverage: chrom: the samples have no contig chr20"),
    (None, {"coverage": {"chrom": "1"}}, "config: coverage: chrom: the samples have no contig 1; they have"),
    (OTHER, {"query": {"bed": "x.bed"}}, "config: query: bed: x.bed: the samples have none of its contigs"),
    (None, {"query": {"bed": "x.bed"}}, "x.bed: no such file; check config: query: bed"),
    (OTHER, {"coverage": {"by": "x.bed"}}, "config: coverage: by: x.bed: the samples have none of its contigs"),
    (OTHER, COVERAGE | {"cohort": {"regions": "x.bed"}},
     "config: cohort: regions: x.bed: the samples have none of its contigs"),
    (write("x.bed", "chr1\t0\t5\nchr7\t0\t5\n"), COVERAGE | {"cohort": {"regions": "x.bed"}}, None),
    (write("x.bed", "chr1\t0\n"), COVERAGE | {"cohort": {"regions": "x.bed"}}, "config: cohort: regions: x.bed:1: "),
    (write("x.bed", "chr1\t0\t9\n"), {"coverage": {"by": "x.bed", "chrom": "chr2"}}, "config: coverage: by: x.bed: "),
    (None, COVERAGE | {"cohort": {"sex_contigs": ["chr1", "chrY"]}},
     "config: cohort: sex_contigs: the samples have no contig chrY"),
    (None, IDENTITY, "x.vcf: no such file; check config: identity: sites"),
    (write("x.vcf", "1\t5\t.\tA\tC\n"), IDENTITY, "config: identity: sites: x.vcf: the samples have none"),
    (write("x.vcf", "chr1\t500001\t.\tA\tC\n"), IDENTITY, "config: identity: sites: x.vcf: chr1 500000 500001: "),
    (write("x.vcf", "chr1\t5\t.\tA\tC\nchrX\t5\t.\tA\tC\n"), IDENTITY, None),
    (None, {"coverage": {"by": 1000}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("change", "config", "message"), SECTIONS)
def test_sections_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, config: dict[str, Any], message: str | None
) -> None:
    if change:
        change(tmp_path)
    monkeypatch.chdir(tmp_path)
    contigs = [("chr1", 500_000), ("chr2", 250_000)]
    error, _ = told(lambda warn: checks.check_config(config, ["S1", "S2"], contigs, Places(Run()), warn))
    assert error.startswith(message) if message else not error


# The same through Snakemake, and of the samples.
CASES: list[tuple[Any, dict[str, Any], str | None]] = [
    SECTIONS[0],
    (None, {"query": {"regions": ["chr1"], "read_group": "x"}}, "config: query: read_group: no sample has"),
    (None, {"query": {"regions": ["*"], "read_group": "S1"}}, None),
    (None, {"coverage": {"read_groups": "S1,x"}}, "config: coverage: read_groups: no sample has a read group 'x'"),
    (datasets, {"coverage": {"read_groups": "S2"}}, "config: coverage: read_groups: no sample has a read group 'S2'"),
    (datasets, {"coverage": {"read_groups": "S1"}}, None),
    (renamed, CALLING | {"reference": "other.fa"}, "other.fa.fai: does not list these contigs of the samples: "),
    (renamed, {"reference": "other.fa", "query": {"regions": ["chr1"]}}, None),
    (of_cram, {"reference": "other.fa"}, "other.fa.fai: does not list these contigs of the samples: chr1, chr2, it"),
    (of_cram, {"reference": "reference.fa"}, None),
    (another, CALLING | {"reference": "other.fa"}, "other.dict: sample S1: the sequence of chr1 differs: "),
    (stale, CALLING, "reference.fa.fai: chr2 is not at its offset: reference.fa has changed since; "),
    (remove_fai, CALLING, "reference.fa.fai: no such file; create it with: samtools faidx reference.fa"),
    (write("reference.fa.fai", "chr1\n"), CALLING, "reference.fa.fai:1: invalid line in a .fai; "),
    (write("reference.dict", "@SQ\tSN:chr1\tLN:5\n"), CALLING, "reference.dict: chr1 has 5 bp, but 500000 bp in the"),
    (write("reference.dict", "@SQ\tSN:chr1\n"), CALLING, "reference.dict: a header line has no SN or no valid LN"),
    (write("x.txt", "1 1 5 M 1\n"), CALLING | {"call": {"call": "--ploidy-file x.txt"}}, "config: call: call: x.txt"),
    (write("x.txt", "chr1 1 5 M 1\n"), CALLING | {"call": {"call": "-mv --ploidy-file=x.txt"}}, None),
    (None, OF_THE_COHORT | COVERAGE, None),
]  # fmt: skip


@pytest.mark.parametrize(("change", "config", "message"), CASES)
def test_planning_compares(project: Path, change: Any, config: dict[str, Any], message: str | None) -> None:
    if change:
        change(project)
    if message is None:
        assert plan(project, CONFIG | config)
        return
    with pytest.raises(ConfigurationError) as raised:
        plan(project, CONFIG | config)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_header_is_read_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it is compared: cohorts are large."""
    shutil.copy(project / "reference.fa.fai", project / "contigs.fai")
    opened: list[str] = []
    open_source = samples.open_source
    monkeypatch.setattr(
        samples, "open_source", lambda path, **words: opened.append(path) or open_source(path, **words)
    )
    plan(project, CONFIG | OF_THE_COHORT | {"coverage": {"read_groups": "S1,S2"}, "contigs": "contigs.fai"})
    assert opened == ["S1.bam", "S2.bam"]


def test_samples_that_are_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.bams3").symlink_to("d.bams3")
    rows = [
        {"sample": name, column: path}
        for name, column, path in (
            ("S1", "alignments", "a.bam"), ("S2", "alignments", "b/../a.bam"), ("S3", "alignments", "s3://b/a.bam"),
            ("S4", "dataset", "d.bams3"), ("S5", "dataset", "link.bams3"), ("S6", "alignments", "b/a.bam"),
        )
    ]  # fmt: skip
    warnings: list[str] = []
    checks.warn_of_twins(rows, "s.tsv", warnings.append)
    assert warnings == [
        "s.tsv: samples S1 and S2 have the same file, b/../a.bam; correct one of the rows",
        "s.tsv: samples S4 and S5 have the same file, link.bams3; correct one of the rows",
    ]
