"""Inputs that are named and give nothing: each is an error, none is left out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bams3.cli import main
from bams3.errors import Bams3Error

import bams3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one read, on c1."""
    path = tmp_path_factory.mktemp("empty") / "x.sam"
    path.write_text("@SQ\tSN:c1\tLN:1000\nr\t0\tc1\t1\t60\t4M\t*\t0\t0\tACGT\tIIII\n")
    bams3.convert(path, path.with_suffix(".bams3"))
    return path.with_suffix(".bams3")


def spark_uris(*paths: str, **options: str) -> list[str]:
    import json

    from bams3.api.spark import _uris

    return _uris({"paths": json.dumps(paths)} | options)


NOTHING: dict[str, tuple[Callable[..., object], str]] = {
    "Spark, a pattern": (lambda d: spark_uris(d, "nothing/*.bams3"), r"nothing/\*\.bams3 matches nothing"),
    "Spark, of datasets": (lambda d: spark_uris(d, datasets=f"{d}\nx[y]"), r"x\[y\] matches nothing"),
    "Spark, a file: pattern": (lambda d: spark_uris(d, "file:/nothing/*"), r"/nothing/\* matches nothing"),
    "Spark, no path": (lambda d: spark_uris(d, ""), "one of the paths is empty"),
    "Spark, nothing": (lambda d: spark_uris(), "give .load"),
    "query_parallel": (lambda d: bams3.query_parallel([d, "nothing.bams3"], ["c1"]), "nothing.bams3"),
    "query_parallel, a region": (lambda d: bams3.query_parallel([d], ["c1", "c2"]), "c2"),
    "query_parallel, none": (lambda d: bams3.query_parallel([], ["c1"]), "no datasets; give at least one"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_inputs_that_give_nothing(dataset: Path, case: str) -> None:
    if case.startswith("Spark"):
        pytest.importorskip("pyspark")
    action, message = NOTHING[case]
    with pytest.raises(Bams3Error, match=message):
        action(str(dataset))


NOTHING_NAMED = {
    "count": (["count", "--regions", "{bed}", "{dataset}", "{here}/none/*.bams3"], "{here}/none/*.bams3"),
    "count, a list": (["count", "--regions", "{bed}", "{dataset}", "--datasets", "{empty}"], "empty lists no datasets"),
    "chunks": (["chunks", "{dataset}", "{here}/none/*.bams3"], "{here}/none/*.bams3"),
    "map": (["map", "{here}/none/*.bams3", "--", "cat"], "{here}/none/*.bams3"),
    "gather": (["coverage", "{dataset}", "-o", "{here}/x", "--gather", "{here}/none"], "{here}/none"),
    "query": (["query", "{dataset}", "c1", "c2"], "'c2'"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTHING_NAMED)
def test_named_inputs_that_give_nothing(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, message = NOTHING_NAMED[case]
    (tmp_path / "empty").write_text("\n \n")
    (tmp_path / "x.bed").write_text("c1\t1\t3\n")
    places = {
        "dataset": dataset, "here": tmp_path, "empty": tmp_path / "empty",
        "bed": tmp_path / "x.bed",
    }  # fmt: skip
    assert main([word.format(**places) for word in words]) == 1
    out, errors = capsys.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert message.format(**places) in errors


def test_patterns_of_spark(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    for name in ("b.bams3", "a.bams3", "s[1].bams3"):
        (tmp_path / name).mkdir()
    assert spark_uris(f"{tmp_path}/?.bams3") == [f"{tmp_path}/a.bams3", f"{tmp_path}/b.bams3"]
    assert spark_uris(f"file:{tmp_path}/a*", f"{tmp_path}/s[1].bams3", "s3://b/*") == [
        f"{tmp_path}/a.bams3", f"{tmp_path}/s[1].bams3", "s3://b/*"
    ]  # fmt: skip
