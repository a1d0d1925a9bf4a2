"""`bams3 map`: a command on each chunk, what it reads and writes, its log, and what ends it."""

import io
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysam
import pytest
from bams3.api import dataset as api
from bams3.dataset.reader import DatasetReader
from bams3.operations import map_command
from engines import BAMS3
from engines import run_bams3 as run
from servers.awaited import until

import bams3


@pytest.fixture(scope="module")
def dataset(engine_dataset: Path) -> api.Dataset:
    return bams3.open(engine_dataset)


def regions_of(dataset: api.Dataset) -> list[str]:
    return run("chunks", "--format", "region", dataset.uri).stdout.split()


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize(
    ("options", "command"),
    [
        ([], ["samtools", "view", "-c", "-"]),
        (["--input-fmt", "bam"], ["samtools view -c -"]),
        (["--input-fmt", "sam", "--no-header"], ["wc -l"]),
        (["--input-fmt", "none"], ["bams3 inspect {chunk} | sed -n 's/^records *//p'; cat"]),
    ],
    ids=["sam", "bam", "no header", "none"],
)  # fmt: skip
def test_records_are_on_standard_input(
    dataset: api.Dataset, commands: dict[str, str], options: list[str], command: list[str], parallel: int
) -> None:
    done = run("map", "--parallel", parallel, *options, dataset.uri, "--", *command, env=commands)
    assert (done.returncode, done.stderr) == (0, "")
    assert [int(line) for line in done.stdout.split()] == [chunk.records for chunk in dataset.chunks]


def test_records_are_those_of_the_bam(dataset: api.Dataset) -> None:
    sam = run("map", "--no-header", dataset.uri, "--", "cat").stdout
    assert sam == run("query", dataset.uri).stdout
    whole = run("map", "--shard", "2/13", dataset.uri, "--", "cat").stdout
    assert whole.startswith(run("query", "-H", dataset.uri).stdout)


@pytest.mark.parametrize("fields", [None, "mapq,[NM]", "qname,pos,mapq"])
def test_records_as_arrow(dataset: api.Dataset, fields: str | None) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    options = ["--fields", fields] if fields else []
    done = run("map", "--input-fmt", "arrow", *options, dataset.uri, "--", "cat", text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    names = (fields or "qname,flag,rname,pos,mapq,cigar,mrname,mpos,tlen,seq,qual").split(",")
    stream = io.BytesIO(done.stdout)
    for chunk in dataset.chunks:
        table = ipc.open_stream(stream).read_all()
        assert table.column_names == names
        assert table["mapq"].to_pylist() == bams3.read_chunk(chunk.path).query("mapq")["mapq"].tolist()
    assert stream.read() == b""


def test_shards_of_map(dataset: api.Dataset) -> None:
    shards = [
        run("map", "--shard", f"{i}/4", dataset.uri, "--", "echo", "{region}").stdout for i in range(1, 5)
    ]
    assert "".join(shards).split() == regions_of(dataset)
    assert all(shards)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose name and contig are made to be misread by a shell."""
    folder = tmp_path_factory.mktemp("odd")
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "HLA-A*01:01$(id)'", "LN": 500}]}
    with pysam.AlignmentFile(folder / "x.bam", "wb", header=header) as file:
        file.write(
            pysam.AlignedSegment.fromstring(
                "r\t0\tHLA-A*01:01$(id)'\t9\t9\t4M\t*\t0\t0\tACGT\tIIII", file.header
            )
        )
    bams3.convert(folder / "x.bam", folder / "a {b} $(id).bams3")
    return folder / "a {b} $(id).bams3"


@pytest.mark.parametrize(
    "words",
    [
        ["printf %s: {sample} {region} {chunk} '{other}'"],
        ["printf", "%s:", "{sample}", "{region}", "{chunk}", "{other}"],
    ],
)
def test_what_is_filled_in(odd: Path, words: list[str]) -> None:
    (chunk,) = bams3.open(odd).chunks
    done = run("map", odd, "--", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"a {{b}} $(id):{{HLA-A*01:01$(id)'}}:1-500:{chunk.path}:{{other}}:"


def test_outputs_are_in_order(dataset: api.Dataset, tmp_path: Path) -> None:
    """The first command ends after the third has begun, which begins when the second has ended."""
    first, _, third, *_ = regions_of(dataset)
    os.mkfifo(tmp_path / "third")
    slow_first = f"case {{region}} in {first}) read < third ;; {third}) echo > third ;; esac; echo {{region}}"
    done = run("map", "--parallel", "2", dataset.uri, "--", slow_first, cwd=tmp_path)
    assert done.stdout.split() == regions_of(dataset)


def test_a_file_for_each_chunk(dataset: api.Dataset, tmp_path: Path) -> None:
    """What is printed, or {output} and what lies beside it."""
    run(
        "map",
        "--output-dir",
        tmp_path / "a",
        "--suffix",
        ".n",
        dataset.uri,
        "--",
        "samtools",
        "view",
        "-c",
        "-",
    )
    both = "samtools view -c - > {output}; touch {output}.x; echo {output}"
    done = run("map", "--output-dir", tmp_path / "b", "--suffix", ".n", dataset.uri, "--", both)
    counts = contents(tmp_path / "a")
    assert sorted(counts.values()) == sorted(f"{chunk.records}\n" for chunk in dataset.chunks)
    assert contents(tmp_path / "b") == dict(sorted((counts | {f"{name}.x": "" for name in counts}).items()))
    assert sorted(Path(line).name for line in done.stdout.split()) == [*counts]
    assert counts["chr1-000000000-000262144.n"] == f"{dataset.chunks[0].records}\n"


def test_a_command_that_writes_no_file_has_failed(dataset: api.Dataset, tmp_path: Path) -> None:
    """Nothing is missing without a word; a file beside it is enough."""
    line = "case {region} in chr1:*) touch {output};; chr2:*) touch {output}.x;; esac"
    done = run("map", "--output-dir", tmp_path / "a", dataset.uri, "--", line, check=False)
    others = [chunk.path for chunk in dataset.chunks if chunk.contig not in ("chr1", "chr2")]
    told = [
        line.partition(": the command succeeded, but did not write {output}; ")
        for line in done.stderr.splitlines()
    ]
    assert (
        sorted(where for where, _, advice in told if advice)
        == sorted(f"bams3 map: {path}" for path in others)
        != []
    )
    assert done.returncode == 1
    assert len(contents(tmp_path / "a")) == len(dataset.chunks) - len(others)


def contents(folder: Path) -> dict[str, str]:
    """All that is in a folder, hidden files too."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


# The first chunk of chr2 fails for as often as there are letters in the file `left`, after it has written something.
FLAKY = (
    "echo {region}; echo x >> runs; "
    "[ {region} != chr2:1-262144 ] || ! grep -q . left || { sed -i s/.// left; exit 7; }"
)


@pytest.mark.parametrize(
    ("fails", "retries", "runs"), [(0, 0, 13), (1, 0, 13), (1, 1, 14), (2, 5, 15), (3, 2, 15)]
)
def test_retries(dataset: api.Dataset, tmp_path: Path, fails: int, retries: int, runs: int) -> None:
    (tmp_path / "left").write_text("x" * fails)
    out = ["--output-dir", tmp_path / "out", "--retries", retries]
    done = run("map", *out, dataset.uri, "--", FLAKY, cwd=tmp_path)
    assert (tmp_path / "runs").read_text() == "x\n" * runs
    failed = [chunk.path for chunk in dataset.chunks if (chunk.contig, chunk.start) == ("chr2", 0)]
    said = f"bams3 map: {failed[0]}: exit code 7\nbams3 map: failed on 1 of 13 chunks\n"
    wrong = fails > retries
    assert (done.returncode, done.stderr) == ((1, said) if wrong else (0, ""))
    assert len(contents(tmp_path / "out")) == 13 - wrong


@pytest.mark.parametrize("directory", [True, False])
def test_resume_runs_what_failed(dataset: api.Dataset, tmp_path: Path, directory: bool) -> None:
    (tmp_path / "left").write_text("x")
    options = ["--joblog", "log", *(["--output-dir", "out"] if directory else [])]
    first = run("map", *options, dataset.uri, "--", FLAKY, cwd=tmp_path)
    again = run("map", *options, "--resume", dataset.uri, "--", FLAKY, cwd=tmp_path)
    nothing = run("map", *options, "--resume", dataset.uri, "--", FLAKY, cwd=tmp_path)
    assert [done.returncode for done in (first, again, nothing)] == [1, 0, 0]
    assert again.stdout == ("" if directory else "chr2:1-262144\n")
    others = [region for region in regions_of(dataset) if region != "chr2:1-262144"]
    assert first.stdout.split() == ([] if directory else others)
    assert (tmp_path / "runs").read_text() == "x\n" * 14
    if directory:
        (tmp_path / "out" / "chr2-000000000-000262144").unlink()
        run("map", *options, "--resume", dataset.uri, "--", FLAKY, cwd=tmp_path)
        assert len(contents(tmp_path / "out")) == 13
    other = run("map", *options, "--resume", dataset.uri, "--", "echo another", cwd=tmp_path)
    assert other.stdout == ("" if directory else "another\n" * 13)


def test_resume_runs_what_would_differ(dataset: api.Dataset, tmp_path: Path) -> None:
    """If a command reads something else, or if another command has replaced its file."""

    def runs(*options: str, line: str = "wc -l") -> int:
        log = ["--joblog", "log", "--resume", "--output-dir", "it's out"]
        before = len((tmp_path / "log").read_text().splitlines()) if (tmp_path / "log").exists() else 1
        run("map", *log, *options, "x.bams3", "--", line, cwd=tmp_path)
        return len((tmp_path / "log").read_text().splitlines()) - before

    shutil.copytree(dataset.uri, tmp_path / "x.bams3")
    assert [runs(), runs()] == [13, 0]
    assert [runs("--no-header"), runs("--no-header")] == [13, 0]
    assert [runs(line="wc -c"), runs(), runs()] == [13, 13, 0]
    shutil.rmtree(tmp_path / "x.bams3")
    run("rewrite", "--region", "chr1", "--region", "chr2:1-99999", dataset.uri, tmp_path / "x.bams3")
    assert [runs(), runs()] == [1, 0]  # the first chunk of chr2 has fewer reads now


def test_the_log_is_gnu_parallels(dataset: api.Dataset, tmp_path: Path) -> None:
    words = ["bash", "-c", "[ $0 = _unplaced ] && kill $$; cat > /dev/null; echo hello; exit 3", "{region}"]
    run("map", "--parallel", "2", "--joblog", "log", dataset.uri, "--", *words, cwd=tmp_path)
    head, *lines = (tmp_path / "log").read_text().splitlines()
    assert head == "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".replace(" ", "\t")
    rows = [line.split("\t") for line in lines]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 14)]
    assert {row[1] for row in rows} == {":"}
    assert all(float(row[2]) > float(row[3]) >= 0 for row in rows)  # since 1970, and how long
    assert [row[6:8] for row in rows] == [["3", "0"]] * 12 + [["0", "15"]]
    assert [row[5] for row in rows] == ["6"] * 12 + ["0"]
    sent = len(run("map", "--shard", "1/13", dataset.uri, "--", "cat").stdout)
    assert int(rows[0][4]) == sent
    comment = f"{re.escape(dataset.chunks[0].path)} [0-9a-f]{{8}} [0-9a-f]{{8}} sam"
    assert re.search(f" chr1:1-262144 # {comment}$", rows[0][8])


def test_a_log_that_ends_within_a_line(dataset: api.Dataset, tmp_path: Path) -> None:
    """As the machine's failure may leave it."""
    command = ["map", "--parallel", "1", "--joblog", "log", dataset.uri, "--", "echo", "{region}"]
    run(*command, cwd=tmp_path)
    log = tmp_path / "log"
    log.write_text(log.read_text()[:-9])
    assert run(*command[:1], "--resume", *command[1:], cwd=tmp_path).stdout == "_unplaced\n"
    rows = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 14)]
    assert {len(row) for row in rows} == {9}


def test_a_damaged_chunk_fails_alone(engine_dataset: Path, tmp_path: Path) -> None:
    copy = bams3.open(shutil.copytree(engine_dataset, tmp_path / "x.bams3"))
    chunk = Path(copy.chunks[3].path)
    data = bytearray(chunk.read_bytes())
    data[20] ^= 1
    chunk.write_bytes(data)
    done = run("map", "--output-dir", tmp_path / "out", copy.uri, "--", "cat")
    assert done.returncode == 1
    assert re.fullmatch(
        rf"bams3 map: {chunk}: .*damaged.*\nbams3 map: failed on 1 of 13 chunks\n", done.stderr
    ), done.stderr
    assert len(contents(tmp_path / "out")) == 12
    assert run("map", copy.uri, "--", "true").returncode == 0  # nothing is decoded that is not read


WORK = f"seq 50000 | wc -l > {os.devnull}"
"""What keeps a command that reads no more alive a little longer."""


@pytest.mark.parametrize("format", ["sam", "bam", "arrow"])
def test_a_command_need_not_read(dataset: api.Dataset, format: str) -> None:
    done = run("map", "--input-fmt", format, dataset.uri, "--", f"exec < /dev/null; {WORK}; echo {{region}}")
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", regions_of(dataset))


def test_a_command_may_read_a_part(dataset: api.Dataset) -> None:
    done = run("map", dataset.uri, "--", f"head -n 1 | cut -c 1-3; exec < /dev/null; {WORK}")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "@HD\n" * 13)


@pytest.fixture
def waiting(dataset: api.Dataset, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A run whose commands wait for ever in a process of their own, and these processes' ids."""
    command = "echo begun; (echo $BASHPID > {sample}.$$; exec sleep 1000) | cat"
    words = ["map", "--parallel", "2", "--output-dir", "out", "--joblog", "log", dataset.uri, "--", command]
    child = subprocess.Popen(
        [*BAMS3, *words], cwd=tmp_path, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    def begun() -> list[int]:
        said = [path.read_text() for path in tmp_path.glob("S1.*")]
        return [int(pid) for pid in said if pid]

    until(lambda: len(begun()) == 2, lambda: child.poll() is None)
    pids = begun()
    yield child, pids
    child.kill()
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """A process that nobody waited for does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_while_a_command_is_being_started(
    engine_dataset: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is not known yet ends, too, and no other one begins."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def interrupted(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*words, **options))
        os.kill(os.getpid(), signal.SIGTERM)
        return started[-1]

    command = map_command.ChunkCommand(["sleep", "600"])
    reader = DatasetReader(engine_dataset)
    jobs = [map_command.ChunkJob(number, reader, entry) for number, entry in enumerate(reader.index, 1)]
    before = signal.signal(signal.SIGTERM, command.interrupt)
    monkeypatch.setattr(map_command.subprocess, "Popen", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(command.on_each(jobs, workers))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert 1 <= len(started) <= workers
    assert {child.poll() for child in started} == {-signal.SIGTERM}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_commands_and_what_they_started(
    waiting: tuple[subprocess.Popen[bytes], list[int]], tmp_path: Path, how: signal.Signals
) -> None:
    child, pids = waiting
    child.send_signal(how)
    assert child.communicate()[1] == b"bams3 map: interrupted\n"
    assert child.returncode == 128 + how
    assert not any(map(alive, pids))
    assert contents(tmp_path / "out") == {}
    assert (tmp_path / "log").read_text().count("\n") == 1


def test_a_run_that_was_killed_goes_on(dataset: api.Dataset, tmp_path: Path) -> None:
    """Nothing half-written is taken for a result; nothing is done twice."""
    command = "echo x >> runs; echo 1; [ -e gone ] || [ {region} != chr2:1-262144 ] || kill -9 $PPID; wc -l"
    words = [
        "map",
        "--parallel",
        "1",
        "--output-dir",
        "out",
        "--joblog",
        "log",
        "--resume",
        dataset.uri,
        "--",
        command,
    ]
    assert run(*words, cwd=tmp_path).returncode == -signal.SIGKILL
    done = len(list((tmp_path / "out").glob("chr*")))
    (tmp_path / "gone").touch()
    assert run(*words, cwd=tmp_path).returncode == 0
    found = {path.name: path.read_text() for path in (tmp_path / "out").glob("[!.]*")}
    run("map", "--output-dir", "whole", dataset.uri, "--", command, cwd=tmp_path)
    assert found == contents(tmp_path / "whole")
    assert 0 < done < 13
    assert Counter((tmp_path / "runs").read_text().split()) == {"x": 14 + 13}
