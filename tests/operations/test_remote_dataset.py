"""Datasets in an object store: what they give, what is asked of the store for it."""

import gc
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.chunk.spans import Span
from bams3.cli import main
from bams3.dataset import prefetch
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError
from bams3.operations import cost
from bams3.operations.verify import verify
from bams3.select import query
from bams3.storage import open_storage
from peers import need
from remote_datasets import READS, REGION, asked, files, printed
from servers.faults import Faults, Request

import bams3

EVERYTHING = query.RecordFilter()


COMMANDS = {
    "query": lambda d, out: ["query", d, REGION],
    "everything": lambda d, out: ["query", "-h", d, "."],
    "one worker": lambda d, out: ["query", "-@1", d, "chr1:1-600K"],
    "tags": lambda d, out: ["query", "-e", "[NM] < 3", "-r", "a", d, "chr1"],
    "bam": lambda d, out: ["to-bam", "--level", "1", d, out / "out.bam"],
    "number": lambda d, out: ["query", "-c", "-q", "30", d, REGION, "chr2"],
    "number by tags": lambda d, out: ["query", "-c", "-e", '[NM] < 3 && qname =~ "7"', "-r", "a", d, "chr1"],
    "coverage": lambda d, out: ["coverage", d, "--by", "1000", "-o", out / "out"],
    "contig": lambda d, out: ["coverage", "-n", "-c", "chr2", d, "-o", out / "out"],
    "part": lambda d, out: ["coverage", "--batch", "2/3", d, "-o", out / "out"],
    "stats": lambda d, out: ["stats", "--json", d],
    "lone chunk": lambda d, out: ["inspect", "--json", f"{d}/data/chr1/000000000-000524288.chunk"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_as_on_disk(
    name: str, local: Path, remote: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = []
    for number, dataset in enumerate((local, remote)):
        out = tmp_path / str(number)
        out.mkdir()
        found.append((printed(capfd, *COMMANDS[name](dataset, out)), files(out)))
    assert found[0] == found[1]
    assert found[0][0] or found[0][1]


def test_columns_and_depth_from_python(local: Path, remote: str) -> None:
    here, there = bams3.open(local), bams3.open(remote)
    assert (here.coverage("chr1", 1000, 9000) == there.coverage("chr1", 1000, 9000)).all()
    fields = ["pos", "qname", "[NM]", "seq", "qual", "tlen", "library"]
    mine, theirs = (
        here.query("chr1:1-600K", fields, filter="[NM] > 3"),
        there.query("chr1:1-600K", fields, filter="[NM] > 3"),
    )
    assert mine.records == theirs.records > 1000
    assert all((mine[field] == theirs[field]).all() for field in fields)


def test_the_pipe_of_the_page(remote: str, source: Path, tmp_path: Path) -> None:
    """A region in S3 into bcftools, as it stands there, gives what samtools' region of the BAM gives."""
    need("bcftools")
    need("samtools")
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    (line,) = (line for line in page.splitlines() if "s3://" in line and "bcftools" in line)
    line = line.replace("NA12878.bams3", "d.bams3").replace("s3://bucket/d.bams3", remote)
    ours = line.replace("bams3 query", f"{sys.executable} -m bams3 query").replace(
        "chr20:1M-2M", "chr1:300001-302000"
    )
    theirs = f"samtools view -u {source} chr1:300001-302000 {line[line.index('|') :]}"
    reference = "".join(f">{name}\n{'A' * length}\n" for name, length in hostile.CONTIGS)
    (tmp_path / "ref.fa").write_text(reference)
    calls = []
    for command in (ours, theirs):
        subprocess.run(
            ["bash", "-ec", f"set -o pipefail; {command}"], cwd=tmp_path, check=True, capture_output=True
        )
        text = (tmp_path / "calls.vcf").read_text()
        calls.append([row for row in text.splitlines() if not row.startswith("##")])
    assert calls[0] == calls[1]
    assert len(calls[0]) > 100


def test_only_the_streams_that_columns_need_are_fetched(remote: str) -> None:
    dataset = DatasetReader(remote)
    cold = sum(zone[-1] for entry in dataset.index for zone in entry.row_groups)
    needed = {
        name: asked(lambda f=name: bams3.open(remote).query(fields=[f]))[2]
        for name in ("pos", "[RG]", "qual")
    }
    assert needed["pos"] < needed["[RG]"] < needed["qual"] < cold


# What a request asks


def test_a_region_from_a_cold_start(
    remote: str, faults: Faults, bucket: str, capfd: pytest.CaptureFixture[str]
) -> None:
    faults.gather(3, 1)  # what does not depend on an answer does not wait for one
    faults.arm("")
    assert len(printed(capfd, "query", remote, REGION).splitlines()) > 20
    requests = faults.disarm()
    assert not faults.missed
    touched = list(DatasetReader(remote).row_groups(0, 300_000, 301_000))
    assert len(requests) <= 5
    assert depth(requests) <= 3
    assert sum(request.received for request in requests) <= 2 * sum(g.hot[1] + g.cold[1] for g in touched)
    assert sum(entry.size for entry in DatasetReader(remote).index) > 3 * sum(g.cold[1] for g in touched)
    assert not [request for request in requests if request.method != "GET"]


def depth(requests: list[Request]) -> int:
    """How many round trips wait for one another."""
    chains: list[int] = []
    for request in requests:
        before = (
            chains[i] for i, other in enumerate(requests[: len(chains)]) if other.ended <= request.begun
        )
        chains.append(1 + max(before, default=0))
    return max(chains)


def test_coverage_is_a_request_a_chunk(remote: str, tmp_path: Path) -> None:
    chunks = DatasetReader(remote).manifest.chunks
    _, requests, received = asked(lambda: main(["coverage", "-n", remote, "-o", str(tmp_path / "out")]))
    assert requests <= chunks + 2
    hot = sum(zone[-2] for entry in DatasetReader(remote).index for zone in entry.row_groups)
    assert received < 2 * hot + 20_000


def test_chunks_of_all_contigs_are_on_their_way_at_once(remote: str, faults: Faults, tmp_path: Path) -> None:
    placed = sum(entry.reference_id >= 0 for entry in DatasetReader(remote).index)
    faults.gather(2, placed)
    assert main(["coverage", "-n", remote, "-o", str(tmp_path / "out")]) == 0
    assert faults.most_at_once == placed > 2


def test_a_number_that_the_index_tells_asks_for_no_chunk(remote: str) -> None:
    count, requests, _ = asked(lambda: bams3.open(remote).count(until_eof=True))
    assert (count, requests) == (READS + 103, 2)


OPERATIONS: dict[str, tuple[list[str], list[str]]] = {
    "query": (["query", REGION], ["query", "{}", REGION]),
    "everything": (["query"], ["query", "{}"]),
    "count": (
        ["count", REGION, "chr1:1-20K", "-q", "30"],
        ["query", "-c", "-q30", "{}", REGION, "chr1:1-20K"],
    ),
    "flags": (["query", "-F1024", "chr1"], ["query", "-F1024", "{}", "chr1"]),
    "a filter": (
        ["query", "-r", "a", "-e", "mapq > 60", "."],
        ["query", "-r", "a", "-e", "mapq > 60", "{}", "."],
    ),
    "count by a tag": (
        ["count", "-e", "[NM] < 3", "chr1:1-600K", "chr2"],
        ["query", "-c", "-e", "[NM] < 3", "{}", "chr1:1-600K", "chr2"],
    ),
    "count by many": (
        ["count", "-r", "a", "-e", 'qname =~ "7" || seq =~ "^ACGT" && rnext == "="'],
        ["query", "-c", "-r", "a", "-e", 'qname =~ "7" || seq =~ "^ACGT" && rnext == "="', "{}"],
    ),
    "count of each by tags": (
        ["count", "-L", "x.bed", "-e", "[NM] < 3", "-r", "b"],
        ["count", "--regions", "x.bed", "-e", "[NM] < 3", "-r", "b", "{}"],
    ),
    "count of all": (["count"], ["query", "-c", "{}"]),
    "count of each": (["count", "-L", "x.bed"], ["count", "--regions", "x.bed", "{}"]),
    "coverage": (["coverage"], ["coverage", "-n", "{}", "-o", "out"]),
    "contig": (["coverage", "chr1"], ["coverage", "-n", "-c", "chr1", "{}", "-o", "out"]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_cost_is_what_the_log_shows(
    name: str, remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.bed").write_text("chr1\t0\t600000\nchr1\t5\t2000\nchr1\t400000\t400500\nchr2\t10\t20\n")
    (operation, *rest), command = OPERATIONS[name]
    prices = ["--per-million-requests", "1000000", "--per-gb", "0"]
    told = dict(
        line.split("\t") for line in printed(capfd, "cost", *prices, remote, operation, *rest).splitlines()
    )
    monkeypatch.setenv("BAMS3_LOG_REQUESTS", str(tmp_path / "log"))
    printed(capfd, *(word.format(remote) for word in command))
    lines = [line.split("\t") for line in Path("log").read_text().splitlines()]
    log = [line for line in lines if line[1].startswith(remote)]  # not what others fetched ahead and left
    assert int(told["requests"]) == len(log) == float(told["USD"])
    assert int(told["bytes"]) == sum(int(line[3]) for line in log)


def test_a_log_that_can_not_be_written_is_told(
    remote: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", "-c", "--log-requests", str(tmp_path), remote]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line == f"bams3 query: {tmp_path}: this is a directory; give the name of a file"
    os.environ.pop("BAMS3_LOG_REQUESTS")


@pytest.mark.parametrize(
    ("dataset", "setting", "message"),
    [
        (
            "s3://no-such-bucket-here/d",
            {},
            "s3://no-such-bucket-here/d/_metadata.json: no such bucket (404 NoSuchBucket",
        ),
        ("{}/none", {}, "{}/none: not a bams3 dataset (no _metadata.json); give the directory"),
        ("https://[x/d", {}, "https://: not a URL (Invalid IPv6 URL)"),
        ("{}/d", {"AWS_CA_BUNDLE": "/none"}, "AWS_CA_BUNDLE=/none: No such file or directory; give a file"),
        ("{}/d", {"BAMS3_TIMEOUT": "soon"}, "BAMS3_TIMEOUT=soon: give a number of seconds greater than 0"),
    ],
)
def test_what_can_not_be_opened_is_one_line(
    dataset: str, setting: dict[str, str], message: str, bucket: str, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert main(["query", dataset.format(bucket)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"bams3 query: {message.format(bucket)}")


def written(dataset: object, folder: str) -> None:
    """What commands write, below a path or URI."""
    coverage = ["coverage", "--by", "1000", str(dataset), "-o"]
    parts = [f"{folder}/{number}.depth" for number in (1, 2)]
    commands = [
        ["query", "-O", "bam", "-o", f"{folder}/x.bam", str(dataset), REGION],
        ["to-bam", str(dataset), f"{folder}/whole.bam"],
        [*coverage, f"{folder}/whole"],
        *([*coverage, part, "--batch", f"{number}/2"] for number, part in enumerate(parts, 1)),
        [*coverage, f"{folder}/gathered", "--gather", *parts],
    ]
    assert [main(command) for command in commands] == [0] * len(commands)


def test_what_is_written_may_be_objects(local: Path, remote: str, bucket: str, tmp_path: Path) -> None:
    written(remote, f"{bucket}/out")
    written(local, str(tmp_path))
    place = open_storage(f"{bucket}/out")
    found = {name: place.get(name) for name in place.list()}
    assert found == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(found) > 12


def test_what_fails_writes_no_object(remote: str, bucket: str, capfd: pytest.CaptureFixture[str]) -> None:
    missing = f"{bucket}/out/none.depth"
    assert main(["coverage", remote, "-o", f"{bucket}/out/x", "--gather", missing]) == 1
    assert capfd.readouterr().err.startswith(f"bams3 coverage: {missing}: ")
    assert main(["coverage", remote, "-o", f"{bucket}/out/x", "-b", "/dev/null", "-c", "chr9"]) == 1
    assert main(["query", "-e", "[NM] > ", remote, "-o", f"{bucket}/out/x.sam"]) == 1
    assert list(open_storage(f"{bucket}/out").list()) == []


def test_secrets_of_a_url_are_not_shown(
    local: Path, web_server: tuple[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url, root = web_server
    shutil.copytree(local, root / "d.bams3")
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    secret = url.replace("://", "://me:the-secret@") + "/d.bams3?signature=the-secret"
    (tmp_path / "x.bed").write_text("chr1\t0\t600000\n")
    for command in (
        ["count", "--regions", tmp_path / "x.bed", secret],
        ["chunks", secret],
        ["to-bam", "--pg", secret, tmp_path / "out.bam", "chr2"],
    ):
        assert "the-secret" not in printed(capfd, *command)
    assert b"CL:bams3 to-bam --pg http" in (text := pysam.view("-H", str(tmp_path / "out.bam")).encode())
    assert b"the-secret" not in text
    assert main(["stats", secret.replace("d.bams3", "no.bams3")]) == 1
    assert "the-secret" not in capfd.readouterr().err


def test_price() -> None:
    assert cost.Cost(2_000_000, 3 * 10**9).usd(0.4, 0.09) == pytest.approx(0.8 + 0.27)


def test_what_is_fetched_ahead_is_bounded(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And comes in order; an error stands where its job does; leaving ends it."""
    monkeypatch.setattr(prefetch, "BYTES_AHEAD", 1)
    dataset = DatasetReader(remote)
    begun: list[int] = []
    fetch = Span.fetch

    def asked_for(span: Span) -> Callable[[], memoryview]:
        begun.append(span.length)
        return partial(fetch, span)

    monkeypatch.setattr(Span, "fetch", property(asked_for))
    jobs = dataset.fetched(query.row_group_jobs(dataset, None, EVERYTHING), prefetch.plan_all)
    first = next(jobs)[0]
    assert 0 < sum(begun) < dataset.index[0].size + 1
    assert [first.zone.min_pos, *(group.zone.min_pos for group, _ in jobs)] == [
        zone[2] for entry in dataset.index for zone in entry.row_groups
    ]
    open_storage(remote).delete(dataset.index[1].path)
    jobs = DatasetReader(remote).fetched(query.row_group_jobs(dataset, None, EVERYTHING), prefetch.plan_all)
    groups = len(dataset.index[0].row_groups)
    assert all(next(jobs) for _ in range(groups))
    with pytest.raises(FormatError, match="the chunk is missing"):
        next(jobs)


def test_verifying_fetches_ahead(remote: str, faults: Faults) -> None:
    """Chunks whole, by few requests, whose number does not depend on workers; each byte once."""
    dataset = DatasetReader(remote)
    index = dataset.index
    faults.arm("")
    faults.gather(len(index))
    assert not list(verify(dataset, workers=1))
    requests = [request for request in faults.disarm() if ".chunk" in request.path]
    assert sum(request.received for request in requests) == sum(entry.size for entry in index)
    assert faults.most_at_once >= len(requests) == len(index) > 3


def test_verifying_goes_on_after_a_chunk_that_is_missing_or_damaged(remote: str) -> None:
    storage, (first, second, *_) = open_storage(remote), DatasetReader(remote).index
    data = bytearray(storage.get(first.path))
    data[0] ^= 1
    data[100] ^= 1
    storage.put(first.path, bytes(data))
    storage.delete(second.path)
    problems = list(verify(DatasetReader(remote), workers=2))
    assert [("magic" in line, "checksum" in line, "magic" not in line and "missing" in line) for line in problems] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip


def test_row_groups_go_when_they_are_done(local: Path) -> None:
    """Without waiting for the garbage collector: they hold the memory of a reader."""
    group = next(DatasetReader(local).row_groups(0, 0, 1000))
    group.block()
    gone = weakref.ref(group)
    gc.disable()
    try:
        del group
        assert gone() is None
    finally:
        gc.enable()
