"""bams3 stats, also of regions: what samtools counts there."""

import json
from collections.abc import Callable
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.cli import main

import bams3

Run = Callable[..., bytes]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def output(*words: object) -> bytes:
        assert main([str(word) for word in words]) == 0
        return capfd.readouterr().out.encode()

    return output


@pytest.mark.parametrize("number", [1, 3])
def test_statistics_of_regions(
    run: Run, samtools: Callable[..., bytes], real_bam: Path, real_dataset: Path, tmp_path: Path, number: int
) -> None:
    """As samtools stats counts them, which takes regions: each read that overlaps any of them once."""
    name, start, *_ = samtools("view", "-F", "4", real_bam).split(b"\n")[number].split(b"\t")[2:]
    at = int(start)
    regions = [
        f"{name.decode()}:{first}-{last}" for first, last in [(at, at + 900), (at + 500, at + 1500)][:number]
    ]
    samtools("view", "-b", "-M", "-o", tmp_path / "in.bam", real_bam, *regions)
    assert run("stats", "--flagstat", real_dataset, *regions) == samtools("flagstat", tmp_path / "in.bam")
    pysam.samtools.index(str(tmp_path / "in.bam"))
    assert run("stats", "--idxstats", real_dataset, *regions) == samtools("idxstats", tmp_path / "in.bam")
    ours = run("stats", "--samtools-stats", real_dataset, *regions).split(b"# ", 1)[1].splitlines()[1:]
    theirs = pysam.samtools.stats(str(real_bam), *regions).encode().splitlines()
    names = {line.split(b"\t")[1] for line in ours if line.startswith(b"SN")}
    sections = (b"SN", b"IS", b"MA")
    wanted = [
        line
        for line in theirs
        if line[:2] in sections and (line[:2] != b"SN" or line.split(b"\t")[1] in names)
    ]
    assert [line.split(b"\t#")[0] for line in ours] == [line.split(b"\t#")[0] for line in wanted]
    counts = json.loads(run("stats", "-O", "json", real_dataset, *regions))
    assert counts == json.loads(run("stats", "--json", real_dataset, *regions))
    assert counts["records"] == int(samtools("view", "-c", tmp_path / "in.bam"))
    assert "chunks" not in counts
    assert run("stats", real_dataset, *regions).startswith(b"records     %d\n" % counts["records"])


@pytest.mark.parametrize(("proper", "number"), [(1, 160), (7, 160), (3, 2000), (0, 1), (2, 3), (0, 0)])
def test_percentages_are_rounded_as_by_samtools(run: Run, tmp_path: Path, proper: int, number: int) -> None:
    """samtools divides in C's float, so those that end in 5 are rounded up or down as that happens to be near."""
    path, dataset = tmp_path / "x.bam", tmp_path / "x.bams3"
    reads = [
        hostile.good(0, 5, name=b"%d" % at, flag=67 if at < proper else 69, next_ref=0, next_pos=5)
        for at in range(number)
    ]
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, reads))
    bams3.convert(path, dataset)
    for words in ([], ["-O", "json"], ["-O", "tsv"]):
        assert run("stats", "--flagstat", *words, dataset).decode() == pysam.flagstat(*words, str(path))
    percentages = [
        [line for line in text.splitlines() if line.startswith("SN\tpercentage of properly")]
        for text in (run("stats", "--samtools-stats", dataset).decode(), pysam.stats(str(path)))
    ]
    assert percentages[0] == percentages[1] != []


@pytest.mark.parametrize("words", ["--idxstats -O json", "-O tsv", "--samtools-stats -O json"])
def test_formats_are_of_flagstat(real_dataset: Path, capfd: pytest.CaptureFixture[str], words: str) -> None:
    assert main(["stats", *words.split(), str(real_dataset)]) == 1
    assert "--flagstat" in capfd.readouterr().err
