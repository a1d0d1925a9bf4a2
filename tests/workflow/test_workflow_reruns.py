"""What runs again when the configuration or a file of it changes in a finished cohort: what depends on it, and no more.

Dry runs are planned in this process.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finished_cohort import (
    ALLELES,
    BATCHES,
    CALLS,
    CONFIG,
    COVERAGE,
    DEPTHS,
    GENOTYPES,
    IDENTITY,
    MADE,
    MEASURED,
    PAGE,
    QUERIES,
    REGIONS,
    RELATED,
    ROWS,
    TABLES,
    another_base,
    changed,
    converted,
    finished,
    jobs,
    reread,
    rewrite,
    schema_of,
    write_rows,
)
from servers import script
from workflows import plan, pretend, pretend_failed, snakemake


@pytest.fixture
def project(finished_project: Path) -> Path:
    return finished_project


BIGWIGS = jobs(["write_bigwig"])
RPGC = {"bin": 20, "normalize": "RPGC", "effective_genome_size": 5_000_000}
# For each key of the schema: another value, and what that plans.
KEYS: dict[str, list[tuple[Any, set[str]]]] = {
    "samples": [("copy of samples.tsv", set())],
    "contigs": [("header", set()), ("reference.dict", set())],
    "reference": [("copy of reference.fa", CALLS | GENOTYPES)],
    "pathvars.results": [("elsewhere", MADE | reread() | {"cohort_regions"})],
    "pathvars.logs": [("elsewhere", set())],
    "convert.chunk_size": [("512K", MADE)],
    "convert.chunks_per_batch": [(1, BATCHES)],
    "convert.gigabytes_per_batch": [(1e-9, set())],  # chunks_per_batch is given
    "convert.hash_paths": [(True, MADE), (False, set())],
    "convert.level": [(6, MADE)],
    "convert.threads": [(7, set())],
    "query.regions": [(["chr1:100-90000", "chr2:1-50000"], QUERIES)],
    "query.bed": [("copy of query.bed", QUERIES)],
    "query.require_flags": [(2, QUERIES)],
    "query.exclude_flags": [(1796, QUERIES), (None, QUERIES)],
    "query.min_mapq": [(20, QUERIES)],
    "query.read_group": [("S1", QUERIES)],
    "query.filter": [("mapq > 5", QUERIES)],
    "coverage.by": [(1000, COVERAGE), ("copy of coverage.bed", COVERAGE)],
    "coverage.chrom": [("chr1", DEPTHS | REGIONS)],
    "coverage.fast_mode": [(True, DEPTHS), (False, set())],
    "coverage.fragment_mode": [(True, DEPTHS - jobs(["coverage_batch"]))],
    "coverage.flag": [(0, DEPTHS)],
    "coverage.include_flag": [(2, DEPTHS)],
    "coverage.mapq": [(20, DEPTHS)],
    "coverage.read_groups": [("S1", DEPTHS)],
    "coverage.min_frag_len": [(100, DEPTHS)],
    "coverage.max_frag_len": [(900, DEPTHS)],
    "coverage.quantize": [("0:1:4:", COVERAGE)],
    "coverage.thresholds": [("1,6", COVERAGE), (None, COVERAGE)],
    "coverage.no_per_base": [(True, COVERAGE), (False, set())],
    "coverage.use_median": [(True, COVERAGE)],
    "coverage.bigwig.bin": [(50, BIGWIGS)],
    "coverage.bigwig.normalize": [("RPGC", BIGWIGS)],
    "coverage.bigwig.effective_genome_size": [(9_000_000, BIGWIGS)],
    "alleles.sites": [
        ({"known": "copy-sites.tsv"}, ALLELES),
        ({"known": "query.bed"}, ALLELES),
        ({"known": "sites.tsv", "more": "query.bed"}, jobs(["count_alleles more"]) | {"gather_alleles more"}),
    ],
    "alleles.min_mapq": [(20, ALLELES), (None, ALLELES)],
    "alleles.min_baseq": [(20, ALLELES)],
    "alleles.exclude_flags": [(4, ALLELES)],
    "alleles.incl_flags": [(64, ALLELES)],
    "alleles.count_orphans": [(True, ALLELES)],
    "alleles.ignore_overlaps_removal": [(True, ALLELES)],
    "alleles.strands": [(True, ALLELES)],
    "process.command": [("false", jobs(["process_batch"]))],
    "process.suffix": [(".json", jobs(["process_batch"]))],
    "process.environment": [("copy of tools.yaml", set())],  # Snakemake itself compares environments that it makes
    "cohort.title": [("Mine", {"cohort_page"}), ("Cohort", set())],
    "cohort.server": [("http://host:8080/", {"cohort_page"})],
    "cohort.regions": [(1000, MEASURED), ("copy of cohort.bed", MEASURED)],
    "cohort.thresholds": [("1,6", TABLES | jobs(["measure_regions"])), ("1", TABLES | jobs(["measure_regions"]))],
    "cohort.limits": [({"mean_coverage": {"min": 2}}, PAGE)],
    "cohort.sex_contigs": [(["chr1", "chr2"], PAGE)],
    "identity.sites": [("copy of sites.vcf", IDENTITY)],
    "identity.min_mapq": [(20, IDENTITY)],
    "identity.min_baseq": [(20, IDENTITY)],
    "identity.min_depth": [(9, RELATED)],
    "identity.min_balance": [(0.3, RELATED)],
    "call.window": [(100_000, CALLS), (9_000_000, set())],
    "call.targets": [("copy of call.bed", CALLS), (None, CALLS)],
    "call.mpileup": [("-q 20", CALLS), ("-mv", CALLS), ("-S sexes.txt", CALLS)],
    "call.call": [("-m", CALLS)],
    "genotype.manifest": [("copy of loci.tsv", set())],
    "genotype.targets": [("copy of genotype.bed", set()), ("query.bed", {"gather_genotypes"}), (None, set())],
    "genotype.mpileup": [("-q 20", GENOTYPES)],
    "genotype.call": [("-mA", GENOTYPES)],
}  # fmt: skip


def keys_of(schema: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in schema["properties"].items():
        if "properties" in value:
            yield from keys_of(value, f"{above}{key}.")
        else:
            yield above + key


def test_every_key_has_a_row() -> None:
    assert list(KEYS) == list(keys_of(schema_of("config")))


@pytest.mark.parametrize(
    ("key", "value", "planned"), [(key, *row) for key, rows in KEYS.items() for row in rows]
)
def test_a_key_of_the_configuration(project: Path, key: str, value: Any, planned: set[str]) -> None:
    if str(value).startswith("copy of "):
        name = value.removeprefix("copy of ")
        for path in project.glob(f"{name}*"):
            shutil.copy(path, project / f"copy-{path.name}")
        value = f"copy-{name}"
    if key == "alleles.sites":
        shutil.copy(project / "sites.tsv", project / "copy-sites.tsv")
    config = changed(key, value)
    if key == "query.regions":
        del config["query"]["bed"]
    if key.startswith("coverage.bigwig."):
        config["coverage"]["bigwig"] = RPGC | config["coverage"]["bigwig"]
    assert plan(project, config) == planned


def test_a_key_that_has_another_name_now(project: Path) -> None:
    """What is finished is finished whatever the key was called then."""
    renamed = {("grid" if key == "contigs" else key): value for key, value in CONFIG.items()}
    assert plan(project, renamed) == set()
    pretend(project, renamed)
    assert plan(project, CONFIG) == set()


def test_settings_that_change_places(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words, each the other's."""
    monkeypatch.setenv(
        "PATH", str(Path(sys.executable).parent)
    )  # bcftools, which would refuse them, is not there
    config = changed("call.mpileup", "-mv")
    config["call"]["call"] = "-S names.txt"
    assert plan(project, config) == CALLS
    swapped = CONFIG | {"process": {"command": ".txt", "suffix": "true"}}
    assert plan(project, swapped) == jobs(["process_batch"])


REFERENCE = converted("C3") | CALLS | GENOTYPES
LOCUS = {"genotype_sample S2", "gather_genotypes"}

# For each file that the configuration names: what is done to its bytes, and what that plans.
FILES: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "query.bed": (lambda data: data[:-1], QUERIES),
    "coverage.bed": (lambda data: data + b"chr2\t60000\t70000\n", COVERAGE),
    "cohort.bed": (lambda data: data.replace(b"90000", b"80000"), MEASURED),
    "sites.tsv": (lambda data: data + b"chr1\t7\n", ALLELES),
    "call.bed": (lambda data: data.replace(b"400", b"500"), CALLS),
    "sites.vcf": (lambda data: data.replace(b"5000", b"6000"), IDENTITY),
    "names.txt": (lambda data: data.replace(b"S2\n", b""), CALLS),
    "genotype.bed": (lambda data: data.replace(b"70000", b"60000"), set()),
    "sexes.txt": (lambda data: data.replace(b"F", b"M"), GENOTYPES),
    "loci.tsv": (lambda data: data + b"S2\tchr1\t77\n", LOCUS),
    "reference.fa": (another_base, REFERENCE),
    "reference.fa.fai": (lambda data: data[:-1], CALLS | GENOTYPES),  # an offset that is wrong is refused
    "contigs.fai": (lambda data: data.replace(b"\t6\t", b"\t7\t"), set()),
    "samples.tsv": (lambda data: b"# mine\n" + data, set()),
}


@pytest.mark.parametrize("name", FILES)
def test_contents_of_a_file(project: Path, name: str) -> None:
    change, planned = FILES[name]
    before = (project / name).read_bytes()
    rewrite(project / name, change(before), older=True)
    assert (project / name).read_bytes() != before
    assert plan(project, CONFIG) == planned


def test_every_file_of_the_configuration_has_a_row() -> None:
    named = [
        CONFIG,
        *(section for section in CONFIG.values() if isinstance(section, dict)),
        CONFIG["alleles"]["sites"],
    ]
    values = [str(value).split()[-1] for section in named for value in section.values() if value]
    paths = {value for value in values if value.endswith(FILE_NAMES) and not value.startswith(".")}
    assert paths | {"reference.fa.fai"} == FILES.keys()


FILE_NAMES = (".bed", ".tsv", ".fa", ".fai", ".txt", ".vcf")


def test_files_that_are_only_touched(project: Path) -> None:
    """As what they are known by is their contents."""
    for name in [*FILES, "S1.bam.bai", "S2.bam.bai", "C3.cram.crai", "D4.bams3/_metadata.json"]:
        os.utime(project / name)
    assert plan(project, CONFIG) == set()


def test_a_reference_that_is_another_file_with_the_same_contents(project: Path) -> None:
    """The header of calls names it; conversions, also of CRAMs, know its contents alone."""
    for end in ("", ".fai"):
        shutil.copy(project / f"reference.fa{end}", project / f"moved.fa{end}")
    assert plan(project, CONFIG | {"reference": "moved.fa"}) == CALLS | GENOTYPES


# What a section plans that comes to a finished cohort.
SECTIONS = {
    "query": QUERIES,
    "coverage": jobs(["coverage_batch", "gather_coverage", "write_bigwig"]),
    "alleles": ALLELES,
    "process": jobs(["process_batch"]),
    "identity": jobs(["count_sites"]) | {"relate_samples"},
    "cohort": jobs(["read_stats"]) | MEASURED | {"multiqc"},
    "call": CALLS,
    "genotype": GENOTYPES,
}


def test_sections_come_one_by_one(finished_inputs: Path, programs: None, tmp_path: Path) -> None:
    """Nothing is planned again by those that come later; nor by those that go."""
    config = {key: value for key, value in CONFIG.items() if key not in SECTIONS and key != "reference"}
    reference = {"reference": CONFIG["reference"]}
    inputs = Path(shutil.copytree(finished_inputs, tmp_path / "inputs", symlinks=True))
    write_rows(inputs, bams := {name: ROWS[name] for name in ("S1", "S2", "D4")})
    project = finished(inputs, tmp_path / "whole", config)
    for section, planned in SECTIONS.items():
        config |= {section: CONFIG[section]} | (reference if section in ("call", "genotype") else {})
        assert plan(project, config) == {job for job in planned if job.split()[-1] not in ROWS.keys() - bams}
        pretend(project, config)
    for section in SECTIONS:
        assert (
            plan(project, {key: value for key, value in config.items() if key not in (section, "cohort")})
            == set()
        )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("convert.level", 6),
        ("query.min_mapq", 20),
        ("coverage.mapq", 20),
        ("cohort.regions", 1000),
        ("alleles.min_baseq", 20),
        ("call.mpileup", "-q 20"),
        ("call.targets", "query.bed"),
        ("genotype.call", "-mA"),
    ],
)
def test_jobs_that_fail_are_planned_again(project: Path, key: str, value: Any) -> None:
    """With all that depends on them, although Snakemake records what they were of."""
    config = changed(key, value)
    planned = plan(project, config)
    pretend_failed(project, config)
    assert plan(project, config) == planned


def test_a_run_that_fails_leaves_datasets_whole(project: Path, tmp_path: Path) -> None:
    """And what it did not come to is not planned where the settings are as they were."""
    script(tmp_path / "bams3", "exit 1")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    failed = snakemake(project, environment, changed("convert.level", 6), "convert")
    assert failed.returncode != 0
    assert len(list(project.glob("results/datasets/*/_metadata.json"))) == 3
    assert plan(project, CONFIG) in [converted(sample) for sample in ("S1", "S2", "C3")]
