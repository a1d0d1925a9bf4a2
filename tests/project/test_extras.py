"""Each extra by itself: the wheel in an environment that has what the extra asks for and nothing else, where it does
what it promises; and what is said where it is missing."""

import importlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from bams3.cli import main
from bams3.errors import Bams3Error
from bams3.storage import connect
from environments import environment
from packaging.requirements import Requirement
from peers import need
from workflows import ROOT, refusal

import bams3
from bams3 import extras

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLUGINS = "from snakemake_interface_{0}_plugins.registry import {1}PluginRegistry as R; assert R().is_installed('{2}')"

# What is run for each extra, by bash, beside S1.bam, S1.bams3 and a clone; "": without any.
PROMISES = {
    "": "bams3 convert S1.bam new.bams3 && bams3 query -c new.bams3 && bams3 coverage new.bams3 -o depth",
    "arrow": "bams3 export S1.bams3 --parquet x.parquet && bams3 map --input-fmt arrow S1.bams3 -- wc -c",
    "cohort": "python -c 'import bams3.cohort.page, bams3.cohort.qc, plotly.offline as o; o.get_plotlyjs()'",
    "bigwig": "bams3 coverage S1.bams3 --bigwig S1.bw && test -s S1.bw",
    "mount": "bams3 mount S1.bams3 mnt -- cmp -n 4 mnt/S1.bam S1.bam",
    "polars": "python -c \"import bams3.polars as p; print(p.scan('S1.bams3').head(2).collect())\"",
    "remote": "bams3 convert S1.bam $BUCKET/S1.bams3 && bams3 query -c $BUCKET/S1.bams3",
    "serve": (
        "mkfifo url && { bams3 serve --port 0 S1.bams3 > url & } && read -r url rest < url"
        " && python -c \"import pysam; print(pysam.view('-c', '${url%:}bam/S1.bam'))\" && kill %1"
    ),
    "spark": (  # the command of docs/engines/spark.md; it counts what `bams3 query` counts
        "home=$(python -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))') && $home/bin/spark-submit"
        " --master 'local[2]' clone/examples/spark/count.py S1.bams3 > counts && for contig in chr1 chr2; do"
        " grep -x \"S1.$contig.$(bams3 query -c -q 30 S1.bams3 $contig)\" counts || exit 1; done"
    ),
    "workflow": (
        "snakemake -s clone/workflow/Snakefile --cores 2 --quiet --dry-run cohort"
        " && snakemake -s clone/workflow/Snakefile --profile clone/profiles/local --quiet rules host"
        " && snakemake -s clone/workflow/Snakefile --cores 1 cohort --report report.zip && test -s report.zip"
        f' && python -c "{PLUGINS.format("storage", "Storage", "s3")}"'
    ),
    "slurm": f'python -c "{PLUGINS.format("executor", "Executor", "slurm")}" && snakemake --version',
    "aws-batch": (
        f'python -c "{PLUGINS.format("executor", "Executor", "aws-batch")}"'
        " && bams3 convert S1.bam $BUCKET/S2.bams3"
    ),
}  # fmt: skip
CONFIG = "samples: S1.tsv\ncoverage: {by: 100000, no_per_base: true}\ncohort: {regions: 100000}\n"


@pytest.fixture(scope="module")
def clone(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what is in git, a sample, and its dataset."""
    folder = tmp_path_factory.mktemp("fresh")
    for part in ("workflow", "profiles", "examples"):
        shutil.copytree(ROOT / part, folder / "clone" / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("S1.bam", "S1.bam.bai"):
        shutil.copy(cohort / name, folder)
    (folder / "S1.tsv").write_text("sample\talignments\nS1\tS1.bam\n")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(CONFIG)
    bams3.convert(folder / "S1.bam", folder / "S1.bams3")
    return folder


def test_every_extra_has_a_promise() -> None:
    assert PROMISES.keys() == {"", *PROJECT["optional-dependencies"]} - {"test"}


@pytest.mark.parametrize("extra", PROMISES)
def test_an_extra_by_itself(
    wheel: Path, clone: Path, tmp_path: Path, request: pytest.FixtureRequest, extra: str
) -> None:
    if extra == "mount":
        need("fusermount3")
    project = Path(shutil.copytree(clone, tmp_path / "project"))
    bucket = request.getfixturevalue("bucket") if "$BUCKET" in PROMISES[extra] else ""
    alone = environment(tmp_path / "environment", wheel, extra) | {"BUCKET": bucket}
    done = subprocess.run(
        ["bash", "-c", PROMISES[extra]], cwd=project, env=alone, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def dataset(clone: Path) -> str:
    return str(clone / "S1.bams3")


def arrow_of(dataset: str) -> object:
    return bams3.open(dataset).to_batches(fields=["pos"])


def table_of(dataset: str) -> object:
    return bams3.open(dataset).query(fields=["pos"]).to_arrow()


def chunk_of(dataset: str) -> object:
    return bams3.read_chunk(bams3.open(dataset).chunks[0].path).to_arrow()


def scan_of(dataset: str) -> object:
    import bams3.polars

    return bams3.polars.scan(dataset)


def spark_of(dataset: str) -> object:
    return importlib.import_module("bams3.spark")


# Modules that import their package at their top: imported anew here, whatever another test imported before.
IMPORTED_AT_ONCE = {"bams3.spark", "bams3.api.spark"}

# What is done without a package, and what is said.
MISSING: list[tuple[str, list[str] | Callable[[str], object], str]] = [
    ("pyarrow", ["export", "{}", "--parquet", "{}.parquet"], "export needs pyarrow: pip install 'bams3[arrow]'"),
    ("pyarrow", ["map", "--input-fmt", "arrow", "{}", "--", "cat"],
     "--input-fmt arrow needs pyarrow: pip install 'bams3[arrow]'"),
    ("pyarrow", arrow_of, "to_batches needs pyarrow: pip install 'bams3[arrow]'"),
    ("pyarrow", table_of, "to_arrow needs pyarrow: pip install 'bams3[arrow]'"),
    ("mfusepy", ["mount", "{}", "{}.mnt"], "mount needs mfusepy: pip install 'bams3[mount]'"),
    ("starlette", ["serve", "{}"], "serve needs starlette: pip install 'bams3[serve]'"),
    ("uvicorn", ["serve", "{}"], "serve needs uvicorn: pip install 'bams3[serve]'"),
    ("pyBigWig", ["coverage", "{}", "--bigwig", "{}.bw"], "--bigwig needs pyBigWig: pip install 'bams3[bigwig]'"),
    ("polars", scan_of, "bams3.polars needs polars: pip install 'bams3[polars]'"),
    ("pyarrow", chunk_of, "to_arrow needs pyarrow: pip install 'bams3[arrow]'"),
    ("pyspark", spark_of, "bams3.spark needs pyspark: pip install 'bams3[spark]'"),
    ("obstore", ["query", "-c", "s3://bucket/x"], "s3:// needs obstore: pip install 'bams3[remote]'"),
    ("obstore", ["query", "-c", "https://host/x"], "https:// needs obstore: pip install 'bams3[remote]'"),
    ("boto3", ["query", "-c", "s3://bucket/x"], "s3:// needs boto3: pip install 'bams3[remote]'"),
]  # fmt: skip


@pytest.mark.parametrize(("package", "action", "message"), MISSING)
def test_an_extra_that_is_missing_is_named(
    dataset: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    package: str,
    action: list[str] | Callable[[str], object],
    message: str,
) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == package or name in IMPORTED_AT_ONCE:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("bams3.storage.connect._connect", unremembered)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)  # so that boto3 is asked for keys
    if callable(action):
        with pytest.raises(Bams3Error) as raised:
            action(dataset)
        assert str(raised.value) == message
    else:
        assert main([word.format(dataset) for word in action]) == 1
        assert capfd.readouterr().err == f"bams3 {action[0]}: {message}\n"


def unremembered(scheme: str, place: str, settings: object) -> object:
    """A connection that is not remembered."""
    return connect.Connection(scheme, place)


def test_a_cohort_without_its_extra_is_refused_before_it_starts(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    assert refusal(clone, CONFIG) == ("Error: config: cohort needs plotly: pip install 'bams3[cohort]'")


def test_every_package_of_an_extra_is_tried() -> None:
    named = {"plotly"} | {package for package, *_ in MISSING}
    assert named == extras.EXTRAS.keys()
    for package, extra in extras.EXTRAS.items():
        asked = PROJECT["optional-dependencies"][extra]
        assert package in {Requirement(each).name for each in asked}
