"""The configuration as people write it: what is meant is done; else one line says where it is wrong and what to do."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from bams3.workflow.configuration import FILE, check_coverage, check_files, fill_defaults, read
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import ConfigFiles, Run
from snakemake.utils import validate
from workflows import ROOT, configure, refusal, snakemake

ONE = "samples: samples.tsv\n"
SCHEMA_FILE = ROOT / "workflow" / "schemas" / "config.schema.yaml"
SCHEMA = yaml.safe_load(SCHEMA_FILE.read_text())
SECTIONS = [key for key, value in SCHEMA["properties"].items() if value["type"] == "object"]


@pytest.fixture(scope="module")
def lab(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of which nothing is run."""
    return Path(shutil.copytree(cohort, tmp_path_factory.mktemp("lab") / "project"))


# What a section with nothing behind its name needs; "": it means {}.
EMPTY = {
    "pathvars": "",
    "convert": "",
    "query": "config: query: set `regions` or `bed`",
    "coverage": "",
    "alleles": "config: alleles: `sites` is missing; add it",
    "process": "config: process: `command` is missing; add it",
    "cohort": "",
    "identity": "config: identity: `sites` is missing; add it",
    "call": "",
    "genotype": "config: genotype: `manifest` is missing; add it",
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_with_nothing_behind_its_name(lab: Path, section: str) -> None:
    text = f"{ONE}reference: reference.fa\n{section}:\n" + ("coverage:\n" if section == "cohort" else "")
    assert refusal(lab, text) == (f"Error: {EMPTY[section]}" if EMPTY[section] else "")


def test_a_section_of_a_section_with_nothing_behind_its_name(lab: Path) -> None:
    assert refusal(lab, f"{ONE}coverage:\ncohort:\n  limits:\n") == ""


def test_defaults_are_those_that_snakemake_would_fill_in() -> None:
    needed = {"query": {"bed": "x"}, "alleles": {"sites": {"a": "x"}}, "process": {"command": "x"}}
    needed |= {"identity": {"sites": "x"}, "genotype": {"manifest": "x"}, "coverage": {"bigwig": {}}}
    empty: dict[str, object] = {name: {} for name in SECTIONS}
    for given in (
        {},
        {"convert": {"level": 9}},
        empty | needed,
        needed | {"contigs": "x", "call": {"window": 7}},
    ):
        ours, theirs = ({"samples": "x"} | json.loads(json.dumps(given)) for _ in range(2))
        fill_defaults(ours, SCHEMA)
        validate(theirs, str(SCHEMA_FILE))
        assert ours == theirs
        assert ours["convert"]["chunk_size"] == "1M"


REFUSED = [
    # files
    (None, "config/config.yaml: no such file; create it "),
    ("", "config/config.yaml: the file is empty; write `key: value` lines"),
    ("# later\n", "config/config.yaml: the file is empty; "),
    ("- samples: samples.tsv\n", "config/config.yaml: the file has no keys; "),
    ("samples.tsv\n", "config/config.yaml: the file has no keys; "),
    ("[]", "config/config.yaml: the file has no keys; "),
    (f"{ONE}contigs: a: b\n", "config/config.yaml:2: not YAML: mapping values are not allowed here; "),
    (f"{ONE}coverage:\n\tby: 5\n", r"config/config.yaml:3: not YAML: found character '\t' that"),
    (f"{ONE}query: {{regions: [a}}\n", "config/config.yaml:2: not YAML: "),
    (f"{ONE}contigs: *x\n", "config/config.yaml:2: not YAML: found undefined alias"),
    (f"{ONE}query: &a {{regions: *a}}\n", "config/config.yaml:2: an alias (*) within the node that it refers to"),
    (f"__use_yte__: true\n{ONE}?x: 1\n", "config/config.yaml: Error processing template"),
    # a key that is there twice
    (f"{ONE}call:\ncontigs: a\ncall: {{}}\n", "config/config.yaml:4: duplicate key call, first on line 2; keep one"),
    (f"{ONE}coverage: {{by: 1, by: 2}}\n", "config/config.yaml:2: duplicate key by, first on line 2; "),
    (f"{ONE}cohort:\n  limits:\n    reads: {{}}\n    reads: {{}}\n", "config/config.yaml:5: duplicate key reads"),
    ('{"samples": "a", "samples": "b"}', "config/config.yaml: duplicate key samples; keep one"),
    # unknown keys
    (f"{ONE}covrage: {{}}\n", "config: covrage: unknown key; did you mean `coverage`?"),
    (f"{ONE}xyz: 1\n", "config: xyz: unknown key; known keys: samples, contigs, "),
    (f"{ONE}1: 2\n", "config: 1: unknown key; known keys: samples, "),
    (f"{ONE}null: 2\n", "config: None: unknown key; known keys: samples, "),
    (f"{ONE}coverage: {{fast-mode: true}}\n", "config: coverage: fast-mode: unknown key; did you mean `fast_mode`?"),
    (f"{ONE}pathvars: {{result: x}}\n", "config: pathvars: result: unknown key; did you mean `results`?"),
    (f"{ONE}coverage: {{}}\ncohort: {{limits: {{reads: {{mim: 1}}}}}}\n",
     "config: cohort: limits: reads: mim: unknown key; did you mean `min`?"),
    (f"{ONE}coverage: {{}}\ncohort: {{limits: {{1: {{}}}}}}\n",
     "config: cohort: limits: 1: use text; quote text"),
    # other kinds of values
    ("contigs: header\n", "config: `samples` is missing; add it"),
    ("samples:\n", "config: samples: no value; give text, or remove the key"),
    ("samples: ''\n", "config: samples: '' "),
    ("samples: [samples.tsv]\n", "config: samples: a list instead of text"),
    (f"{ONE}contigs:\n", "config: contigs: no value; give text, or remove the key"),
    (f"{ONE}reference: {{a: b}}\n", "config: reference: a mapping instead of text"),
    (f"{ONE}query: [chr1]\n", "config: query: a list instead of a mapping of keys to values"),
    (f"{ONE}query: {{regions: chr1}}\n", "config: query: regions: 'chr1': use a list"),
    (f"{ONE}query: {{regions: [1]}}\n", "config: query: regions: 0: 1: use text; quote text"),
    (f"{ONE}query: {{regions: [1:10]}}\n", "config: query: regions: 0: 70: use text; quote text"),
    (f"{ONE}query: {{regions: [a], bed: b}}\n", "config: query: set `regions` or `bed`, not both"),
    (f"{ONE}query: {{regions:}}\n", "config: query: regions: no value; give a list, or remove the key"),
    (f"{ONE}coverage: true\n", "config: coverage: true: use a mapping of keys to values"),
    (f"{ONE}coverage: {{chrom: 1}}\n", "config: coverage: chrom: 1: use text; quote text"),
    (f"{ONE}coverage: {{chrom: no}}\n", "config: coverage: chrom: false: use text; quote text"),
    (f"{ONE}coverage: {{chrom: 2026-01-01}}\n", 'config: coverage: chrom: "2026-01-01": use text; quote text'),
    (f"{ONE}coverage: {{by: 1.5}}\n", "config: coverage: by: 1.5: use text or a whole number; "),
    (f"{ONE}coverage: {{by: ''}}\n", "config: coverage: by: '' does not fit: a window size in bp, from 1, or"),
    (f"{ONE}coverage: {{by: 0}}\n", "config: coverage: by: 0 does not fit: a window size in bp, from 1, or a BED"),
    (f"{ONE}coverage: {{by: true}}\n", "config: coverage: by: true: use text or a whole number; "),
    (f"{ONE}coverage: {{flag: '1796'}}\n", "config: coverage: flag: '1796': use a whole number"),
    (f"{ONE}coverage: {{flag: 70000}}\n", "config: coverage: flag: 70000 is greater than the maximum of 65535"),
    (f"{ONE}coverage: {{no_per_base: 1}}\n", "config: coverage: no_per_base: 1: use true or false"),
    (f"{ONE}coverage: {{thresholds: '1'}}\n", "config: coverage: thresholds requires `by`; set it too"),
    (f"{ONE}coverage: {{bigwig: {{normalize: CPM}}}}\n", "config: coverage: bigwig: normalize requires `bin`; set it"),
    (f"{ONE}coverage: {{bigwig: {{bin: 5, normalize: cpm}}}}\n", "config: coverage: bigwig: normalize: 'cpm': use one"),
    (f"{ONE}alleles: {{sites: a.vcf}}\n", "config: alleles: sites: 'a.vcf': use a mapping of keys to values"),
    (f"{ONE}alleles: {{sites:}}\n", "config: alleles: sites: {} does not fit: files of sites "),
    (f"{ONE}alleles: {{sites: {{a/b: a.vcf}}}}\n", "config: alleles: sites: 'a/b' does not fit: a name of letters, "),
    (f"{ONE}alleles: {{sites: {{1: a.vcf}}}}\n", "config: alleles: sites: 1: use text; quote text"),
    (f"{ONE}alleles: {{sites: {{a: ''}}}}\n", "config: alleles: sites: a: '' does not fit: a file of sites"),
    (f"{ONE}cohort:\n", "config: cohort requires `coverage`; set it too"),
    (f"{ONE}coverage:\ncohort: {{thresholds: 1;2}}\n",
     "config: cohort: thresholds: '1;2' does not fit: comma-separated depths, such as 1,10,20"),
    (f"{ONE}coverage:\ncohort: {{sex_contigs: [a]}}\n", "config: cohort: sex_contigs: ['a'] does not fit: two contigs"),
    (f"{ONE}coverage:\ncohort: {{sex_contigs: [a, a]}}\n", "config: cohort: sex_contigs: ['a', 'a'] does not fit: two"),
    (f"{ONE}coverage:\ncohort: {{regions: '00'}}\n", "config: cohort: regions: '00' does not fit: a window size in bp"),
    (f"{ONE}coverage:\ncohort: {{limits: {{reads: 5}}}}\n", "config: cohort: limits: reads: 5: use a mapping of keys "),
    (f"{ONE}coverage:\ncohort: {{limits: {{reads: {{min: .nan}}}}}}\n",
     "config: cohort: limits: reads: min: NaN: use a number"),
    (f"{ONE}convert: {{gigabytes_per_batch: .inf}}\n", "config: convert: gigabytes_per_batch: Infinity: use a number"),
    (f"{ONE}convert: {{level: 10}}\n", "config: convert: level: 10 is greater than the maximum of 9"),
    (f"{ONE}convert: {{level: 5.0}}\n", "config: convert: level: 5.0: use a whole number"),
    (f"{ONE}call: {{window: 1e6}}\n", "config: call: window: '1e6': use a whole number"),
    (f"{ONE}call: {{window: 1.0e+6}}\n", "config: call: window: 1000000.0: use a whole number"),
    (f"{ONE}pathvars: {{results: 1}}\n", "config: pathvars: results: 1: use text; quote text"),
    *((f"{ONE}pathvars: {{logs: '{path}'}}\n", f"config: pathvars: logs: '{path}' does not fit: the folder of logs, ")
      for path in ("x/", "./x", ".", "~/x", "a//b", "s3://b/x", "a{x}", "a<x>")),
    (f"{ONE}pathvars: x\n", "config: pathvars: 'x': use a mapping of keys to values"),
    # settings that contradict each other
    (f"{ONE}coverage: {{by: '0'}}\n", "config: coverage: --by 0: a window must have at least one base"),
    (f"{ONE}coverage: {{fast_mode: true, fragment_mode: true}}\n", "config: coverage: --fast-mode and --fragment-mode"),
    (f"{ONE}coverage: {{min_frag_len: 9, max_frag_len: 8}}\n", "config: coverage: --max-frag-len 8 is lower than"),
    (f"{ONE}coverage: {{quantize: '0;1'}}\n", "config: coverage: --quantize '0;1' is not a list of integers"),
    (f"{ONE}coverage: {{fast_mode: true, bigwig: {{bin: 5}}}}\n", "config: coverage: --bin counts reads by their "),
    (f"{ONE}coverage: {{bigwig: {{bin: 5, normalize: RPGC}}}}\n", "config: coverage: --normalize RPGC divides by the"),
    (f"{ONE}coverage: {{by: 9, thresholds: 1;2}}\n", "config: coverage: --thresholds '1;2' is not a list of"),
]  # fmt: skip


def check_all() -> None:
    check_files(ConfigFiles(), Run(), SCHEMA)
    check_coverage(read(FILE)["coverage"])


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    (tmp_path / "config").mkdir()
    if text is not None:
        (tmp_path / FILE).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as raised:
        check_all()
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


# The same through Snakemake, and of files that are named.
NAMED = [
    *REFUSED[:: len(REFUSED) // 5],
    (f"{ONE}coverage: {{quantize: '0;1'}}\n", "config: coverage: --quantize '0;1' is not a list of integers"),
    ("samples: no.tsv\n", "no.tsv: No such file or directory; `samples` in the config names the sheet"),
    ("samples: config\n", "config: not a regular file, "),
    ("samples: s3://bucket/no.tsv\n", "s3://bucket/no.tsv: the store failed (Connection refused); "),
    ("samples: empty.tsv\n", "empty.tsv: no samples; "),
    ("samples: S1.bam\n", "S1.bam:1: not UTF-8; "),
    (f"{ONE}contigs: config\n", "config: not a regular file, "),
    (f"{ONE}process: {{command: a, environment: no.yaml}}\n", "config: process: environment: no.yaml: no such file; "),
    (f"{ONE}process: {{command: a, environment: base}}\n", "config: process: environment: 'base' does not fit: a con"),
    (f"{ONE}coverage: {{by: no.bed}}\n", "no.bed: no such file; config: coverage: by is a window size in bp, or"),
    (f"{ONE}query: {{bed: no.bed}}\n", "no.bed: no such file; check config: query: bed"),
    (f"{ONE}query: {{bed: config}}\n", "config: config: not a regular file, "),
    (f"{ONE}query: {{bed: 's3://bucket/no.bed'}}\n", "s3://bucket/no.bed: the store failed (Connection refused)"),
    (f"{ONE}alleles: {{sites: {{a: no.vcf}}}}\n", "no.vcf: no such file; check config: alleles: sites: a"),
    (f"{ONE}call:\nreference: no.fa\n", "no.fa.fai: no such file; create it with: samtools faidx no.fa"),
    (f"{ONE}call:\nreference: plain.fa\n", "plain.fa.fai: no such file; create it with: samtools faidx plain.fa"),
    (f"{ONE}call:\nreference: config\n", "config.fai: no such file; create it with: "),
    (f"{ONE}coverage:\ncohort: {{regions: no.bed}}\n", "no.bed: no such file; config: cohort: regions is "),
    (f"{ONE}genotype: {{manifest: no.tsv}}\n", "no.tsv: No such file or directory; `manifest` in the config"),
    (f"{ONE}genotype: {{manifest: config}}\n", "config: not a regular file, "),
    ("samples: index.tsv\n", "sample S1: config: not a regular file, "),
    ("samples: remote.tsv\n", "s3://bucket/x.bai: the store failed (Connection refused)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), NAMED)
def test_what_snakemake_says_is_one_line(
    lab: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    (lab / "empty.tsv").touch()
    (lab / "plain.fa").touch()
    (lab / "index.tsv").write_text("sample\talignments\tindex\nS1\tS1.bam\tconfig\n")
    (lab / "remote.tsv").write_text("sample\talignments\tindex\nS1\tS1.bam\ts3://bucket/x.bai\n")
    said = refusal(lab, text)
    assert said.startswith(f"Error: {message}")
    assert "\n" not in said


def test_a_file_that_can_not_be_read(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).endswith(".bed"))
    (lab / "closed.bed").write_text("chr1\t0\t5\n")
    assert refusal(lab, f"{ONE}query: {{bed: closed.bed}}\n") == (
        "Error: config: closed.bed: it can't be read; change its permissions"
    )


@pytest.mark.parametrize(
    "text", [json.dumps({"samples": "samples.tsv", "coverage": {}}), '{\n\t"samples":\t"samples.tsv"\n}',
             f"{ONE}x-shared: &a {{by: 5}}\n".replace("x-shared", "coverage"),
             f"__use_yte__: true\n{ONE}coverage:\n  by: ?2 * 250\n",
             f"\ufeff{ONE}", f"{ONE}coverage: {{<<: {{by: 5}}, no_per_base: true}}\n"]
)  # fmt: skip
def test_what_is_meant_is_planned(lab: Path, text: str) -> None:
    assert refusal(lab, text) == ""


SHIPPED = f"{ONE}contigs: header\nconvert: {{level: 5}}\ncoverage: {{by: 500, no_per_base: true}}\n"

# Further files: what is said of settings that config/config.yaml alone has.
MERGED = [
    (SHIPPED, ["samples: samples.tsv\n"], "coverage"),
    (SHIPPED, ["samples: samples.tsv\nquery: {regions: [chr1]}\n"], "coverage"),
    (SHIPPED, ["samples: samples.tsv\ncoverage: {thresholds: '1'}\n"], "coverage: by, coverage: no_per_base"),
    (SHIPPED, ["samples: samples.tsv\ncoverage: {by: 9, no_per_base: false}\n"], ""),
    (SHIPPED, ["samples: samples.tsv\ncoverage:\n"], ""),
    (SHIPPED, ["coverage:\n"], "samples"),
    (SHIPPED, ["coverage: {by: 5}\n", "samples: samples.tsv\n"], "coverage: no_per_base"),
    (SHIPPED.replace("5}", "6}", 1), ["samples: samples.tsv\ncoverage:\n"], "convert: level"),
    (f"{ONE}call:\n", ["samples: samples.tsv\nreference: reference.fa\n"], "call"),
    (ONE, ["samples: samples.tsv\ncall:\nreference: reference.fa\n"], ""),
    (None, ["samples: samples.tsv\n"], ""),
    (SHIPPED, [], ""),
    (SHIPPED, [None], ""),
]


@pytest.mark.parametrize(("text", "files", "alone"), MERGED)
def test_settings_of_the_shipped_file_alone_are_told(
    lab: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    files: list[str | None],
    alone: str,
) -> None:
    said: list[str] = []
    monkeypatch.setattr("bams3.workflow.configuration.logger.warning", said.append)
    names = []
    for number, given in enumerate(files):
        names.append("config/config.yaml" if given is None else f"mine{number}.yaml")
        if given is not None:
            (lab / names[-1]).write_text(given)
    assert refusal(lab, text, *names) == ""
    assert said == (
        [
            f"{names[-1]} is merged with config/config.yaml, which also sets: {alone}; remove unwanted settings "
            "there, or use --replace-workflow-config"
        ]
        if alone
        else []
    )


OLD_NAME = "config: `grid` is the old name of `contigs`; rename the key"
BOTH_NAMES = "Error: config: `grid` is the old name of `contigs`, and both are set; remove `grid`"

# A key with its old name, in config/config.yaml and in a further file: what ends the plan, and whether it is told of.
RENAMED = [
    (f"{ONE}grid: header\n", "", "", True),
    (f"{ONE}grid: no.fai\n", "", "Error: no.fai: ", True),
    (f"{ONE}contigs: no.fai\n", "", "Error: no.fai: ", False),
    (f"{ONE}grid: header\ncontigs: header\n", "", BOTH_NAMES, False),
    (f"{ONE}grid: header\ncontigs: header\n", "grid: header\n", BOTH_NAMES, False),
    (ONE, "grid: header\ncontigs: header\n", BOTH_NAMES, False),
    (f"{ONE}grid: no.fai\n", "contigs: header\n", "", True),
    (f"{ONE}contigs: no.fai\n", "grid: header\n", "", True),
    (f"{ONE}grid: no.fai\n", "grid: header\n", "", True),
    (f"{ONE}grid:\n", "", "Error: config: contigs: no value; ", True),
]


@pytest.mark.parametrize(("text", "other", "message", "is_told"), RENAMED)
def test_a_key_that_has_another_name_now(
    lab: Path, monkeypatch: pytest.MonkeyPatch, text: str, other: str, message: str, is_told: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr("bams3.workflow.configuration.logger.warning", said.append)
    (lab / "other.yaml").write_text(other)
    assert refusal(lab, text, *(["other.yaml"] if other else [])).startswith(message)
    assert [line for line in said if "is merged with" not in line] == [OLD_NAME] * is_told


def test_the_command_line_says_it_once_and_does_as_it_advises(lab: Path, commands: dict[str, str]) -> None:
    (lab / "mine.yaml").write_text(ONE)
    config = {"samples": "none.tsv", "coverage": {}}
    configure(lab, config)
    arguments = ("--dry-run", "--quiet", "host", "--configfile", "mine.yaml")
    ran = snakemake(lab, commands, config, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout + ran.stderr).count("is merged with config/config.yaml") == 1
    assert "gather_coverage" in ran.stdout + ran.stderr
    ran = snakemake(lab, commands, config, *arguments, "--replace-workflow-config")
    assert ran.returncode == 0, ran.stderr
    assert "is merged with" not in ran.stdout + ran.stderr
    assert "gather_coverage" not in ran.stdout + ran.stderr
