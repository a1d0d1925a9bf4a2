"""The scripts of the workflow's rules: what ends one stands in its log and on standard error; names of samples."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bams3.cli import main
from bams3.errors import FormatError
from bams3.workflow.log import open_log
from peers import need
from workflows import ROOT

import bams3

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


class Job(SimpleNamespace):
    """What Snakemake calls `snakemake`; asking it for what it has not been given fails."""

    def __getattr__(self, name: str) -> Any:
        raise FormatError(f"{name} is damaged\x1b")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return tmp_path / "x.log"


def told(error: BaseException, log: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is told of an exception that ends a script, in its log as on standard error."""
    sys.excepthook(type(error), error, error.__traceback__)
    text = capsys.readouterr().err
    assert log.read_text() == text
    return text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_tells_what_ends_it(log: Path, capsys: pytest.CaptureFixture[str], script: Path) -> None:
    with pytest.raises(FormatError) as raised:
        runpy.run_path(str(script), {"snakemake": Job(log=[str(log)], rule="a_rule")})
    text = told(raised.value, log, capsys)
    assert text.startswith("a_rule: ")
    assert text.endswith(" is damaged\\x1b\n")
    assert text.count("\n") == 1
    before = script.read_text().partition("open_log(snakemake)")[0]  # of what may be missing
    assert set(re.findall(r"^(?:from|import) (\S+)", before, re.MULTILINE)) <= {
        "os",
        "sys",
        "bams3.workflow.log",
    }


def test_every_rule_writes_its_log() -> None:
    """A rule that runs something has a log; a command sends its errors there, a script opens it."""
    found = []
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            body = re.split(r"^(?=\S)", rule.partition("\n")[2], flags=re.MULTILINE)[0]
            if kind := re.search(r"^    (shell|script):$", body, re.MULTILINE):
                found.append(rule.partition(":")[0])
                assert "\n    log:\n" in f"\n{body}", found[-1]
                assert kind[1] == "script" or body.rstrip().endswith('2> {log:q}"'), found[-1]
    assert len(found) >= 18


@pytest.mark.parametrize(
    ("error", "first", "last"),
    [
        (OSError(28, "No space left on device", "x.tsv"), "r: [Errno 28] No space left on device: 'x.tsv'", ""),
        (subprocess.CalledProcessError(3, ["bams3", "count", "x"]), "r: bams3 count failed (exit code 3); see LOG", ""),
        (subprocess.CalledProcessError(-9, ["bams3", "count"]), "r: bams3 count failed (signal 9); see LOG", ""),
        (ValueError("x\x1b"), "Traceback (most recent call last):", "ValueError: x\\x1b"),
    ],
)  # fmt: skip
def test_what_is_told(
    log: Path, capsys: pytest.CaptureFixture[str], error: Exception, first: str, last: str
) -> None:
    open_log(Job(log=[str(log)], rule="r"))
    try:
        raise error
    except type(error) as caught:
        lines = told(caught, log, capsys).splitlines()
    assert lines[0] == first.replace("LOG", str(log))
    assert lines[-1] == (last or lines[0])


# Names that MultiQC would cut, take for those of files of another kind, or that readers of tables take for values.
SAMPLES = [
    "NA1", "NA1.sorted", "NA1.dedup", "NA1.bam", "NA1.flagstat", "NA1.stats", "NA1.idxstats", "NA1.mosdepth",
    "NA1.mosdepth.summary.txt", "NA1_R1", "NA1_R2", "A.fastq.gz_fastqc", "idxstat1", "x_idxstats_y",
    "multiqc_data", "x_mqc", "x_mqc.txt", "preseq_real_counts", "x.png", "x.bam.gz", "name.gz",
    "total", "SAMPLE", "sample", "Sample.1", "S1",
    "s1", "S1.", "S1-", "S1_", "S1.r", "001", "1", "1e5", "1.0", "0x10", "1_000", "12.30", "1..2",
    "2024-01-01", "NA", "nan", "null", "none", "None", "true", "True", "inf",
]  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that MultiQC reads, of one sample, by their endings."""
    folder = tmp_path_factory.mktemp("measured")
    head = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:500\n@SQ\tSN:chr2\tLN:500\n"
    reads = "".join(f"r{i}\t0\tchr{i}\t9\t60\t100M\t*\t0\t0\t{'A' * 100}\t*\n" for i in (1, 2))
    (folder / "x.sam").write_text(head + reads)
    bams3.convert(folder / "x.sam", folder / "x.bams3")
    for kind, option in (("flagstat", "flagstat"), ("idxstats", "idxstats"), ("stats", "samtools-stats")):
        with open(folder / f"x.{kind}", "w") as file, redirect_stdout(file):
            assert main(["stats", str(folder / "x.bams3"), f"--{option}"]) == 0
    assert main(["coverage", str(folder / "x.bams3"), "-n", "-o", str(folder / "x")]) == 0
    kinds = ("flagstat", "idxstats", "stats", "mosdepth.summary.txt", "mosdepth.global.dist.txt")
    return {kind: folder / f"x.{kind}" for kind in kinds}


def test_names_in_multiqc_are_those_of_the_sheet(
    measured: dict[str, Path], log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in all of its tables and plots, whatever settings a user or a lab has."""
    need("multiqc")
    monkeypatch.chdir(tmp_path)
    own = {"extra_fn_clean_exts": [".sorted"], "extra_fn_clean_trim": ["NA"], "prepend_dirs": True}
    own |= {"sample_names_replace": {"NA1": "NA2"}, "table_sample_merge": {"R1": ["_R1"], "R2": ["_R2"]}}
    Path("multiqc_config.yaml").write_text(json.dumps(own))
    files = [Path(f"{name}.{kind}") for kind in measured for name in SAMPLES]
    for file in files:
        kind = next(kind for kind in measured if file.name.endswith(f".{kind}"))
        shutil.copy(measured[kind], file)
    output = ["out/report.html", "out/report_data"]
    given = {"input": list(map(str, files)), "output": output, "rule": "multiqc"}
    runpy.run_path(str(ROOT / "workflow/scripts/multiqc.py"), {"snakemake": Job(log=[str(log)], **given)})
    tables = 0
    for path in Path("out/report_data").glob("*.txt"):
        heading, *rows = (line.split("\t")[0] for line in path.read_text().splitlines())
        if heading == "Sample":
            assert sorted(rows) == sorted(SAMPLES), path
            tables += 1
    assert tables >= 12
    data = json.loads(Path("out/report_data/multiqc_data.json").read_text())
    assert len(data["report_plot_data"]) >= 8
    for plot in data["report_plot_data"].values():
        text = json.dumps(plot)
        assert [name for name in SAMPLES if f'"{name}"' not in text] == []
