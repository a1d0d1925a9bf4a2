"""Served datasets: files over HTTP, clients that read BAM files at URLs, and what goes wrong on the way."""

import gzip
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pysam
import pytest
from bams3.bridge import decoder, http_log
from bams3.bridge import library as library_module
from bams3.bridge.http_content import Work
from bams3.bridge.virtual_bam import VirtualBam
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import FormatError
from bams3.operations.convert import convert
from pages import blocks_of, run, same
from peers import DATA, need
from served import HANG, client, rest_of, serving
from starlette.testclient import TestClient
from virtual_bams import whole
from workflows import ROOT


def test_head_decodes_nothing(local: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VirtualBam, "read", None)
    for headers in ({}, {"range": "bytes=0-9"}):
        given = client(local).head("/bam/d.bam", headers=headers)
        assert (given.status_code, given.content) == (200, b"")
        assert int(given.headers["content-length"]) == len(data)


def test_indexes(http: TestClient, bam: VirtualBam) -> None:
    etags = {http.head("/bam/d.bam").headers["etag"]}
    for kind in ("bai", "csi"):
        given = http.get(f"/bam/d.bam.{kind}")
        assert given.content == bam.index(kind)
        etags.add(given.headers["etag"])
    assert len(etags) == 3


def test_what_is_in_memory_takes_no_thread(
    local: Path, data: bytes, bam: VirtualBam, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object) -> None:
        pytest.fail("a thread was used")

    monkeypatch.setattr(library_module, "STEADY", HANG)
    http, wanted = client(local), [data[1000:900_001], bam.index("bai")]
    for do in (Work.do, none):
        monkeypatch.setattr(Work, "do", do)
        given = http.get("/bam/d.bam", headers={"range": "bytes=1000-900000"}), http.get("/bam/d.bam.bai")
        assert [each.content for each in given] == wanted


@pytest.mark.parametrize(
    "path",
    ["/bam/", "/bam/none.bam", "/bam/d", "/bam/d.bai", "/bam/d.bam.bai.bai", "/bam/d.bams3", "/bam/..%2Fd.bam",
     "/bam/d.bam/x", "/bam/.bam", "/x"],
)  # fmt: skip
def test_what_is_not_there(http: TestClient, path: str) -> None:
    given = http.get(path)
    assert given.status_code == 404
    assert "/tmp" not in given.text


def test_only_reading(http: TestClient) -> None:
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert http.request(method, "/bam/d.bam").status_code == 405


def test_new_and_replaced_and_removed_datasets(
    small: Path, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_module, "STEADY", 0)
    shutil.copytree(small.with_suffix(".bams3"), tmp_path / "S1.bams3")
    http = client(tmp_path)
    assert http.get("/health").json()["datasets"] == 1
    before = http.get("/bam/S1.bam")
    assert http.get("/bam/S2.bam").status_code == 404
    shutil.copytree(local, tmp_path / "S2.bams3")
    assert http.get("/bam/S2.bam").content == whole(VirtualBam(DatasetReader(local)))
    assert http.get("/health").json()["datasets"] == 2
    convert(small, tmp_path / "S1.bams3", overwrite=True, chunk_size="512K")
    after = http.get("/bam/S1.bam", headers={"range": "bytes=0-", "if-range": before.headers["etag"]})
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    assert gzip.decompress(after.content) == gzip.decompress(before.content)
    for name in ("S1", "S2"):
        shutil.rmtree(tmp_path / f"{name}.bams3")
        assert http.get(f"/bam/{name}.bam").status_code == 404


# Origin, whether the server is for all, and whether it lets pages of that origin read.
ORIGINS = [
    ("https://igv.org", True, True), ("null", True, True), ("http://localhost:3000", False, True),
    ("http://127.0.0.1", False, True), ("http://[::1]:80", False, True), ("https://igv.org", False, False),
    ("http://localhost.evil.org", False, False), ("null", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("origin", "for_all", "may"), ORIGINS)
def test_pages_of_other_origins(small: Path, origin: str, for_all: bool, may: bool) -> None:
    http = client(small.with_suffix(".bams3"), for_all=for_all)
    given = http.get("/bam/in.bam", headers={"origin": origin, "range": "bytes=0-9"})
    assert given.headers.get("access-control-allow-origin") == (origin if may else None)
    asked = {
        "origin": origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "range,x",
    }
    given = http.options("/bam/in.bam", headers=asked)
    assert given.headers.get("access-control-allow-origin") == (origin if may else None)
    if may:
        assert given.status_code == 200
        assert given.headers["access-control-allow-headers"] == "range,x"
        assert given.headers["access-control-max-age"] == "2592000"


@pytest.mark.parametrize(
    ("host", "may"), [("localhost:80", True), ("[::1]:80", True), ("evil.org", False), ("localhost.evil.org", False)]
)  # fmt: skip
def test_requests_that_were_meant_for_another_host(small: Path, host: str, may: bool) -> None:
    """A name that an attacker lets point to this machine."""
    for for_all in (False, True):
        http = client(small.with_suffix(".bams3"), for_all=for_all)
        given = http.get("/bam/in.bam", headers={"host": host})
        assert given.status_code == (200 if may or for_all else 400)


SAMTOOLS = [
    "view -h --no-PG {bam}", "view {bam} {region}", "view -c {bam} {region}", "idxstats {bam}", "flagstat {bam}",
]  # fmt: skip


def test_samtools_reads_urls(real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    """Debian's, and the one in pysam, as they read the BAM."""
    need("samtools")
    with pysam.AlignmentFile(str(real_bam)) as file:
        first = next(read for read in file if not read.is_unmapped)
    region = f"{first.reference_name}:{first.reference_start}-{first.reference_start + 500}"
    with serving(real_dataset) as server:
        url = f"{server.url}/bam/{real_bam.name}"
        for command in SAMTOOLS:
            words = [command.format(bam=bam, region=region).split() for bam in (url, real_bam)]
            for number, run in enumerate((by_debian, by_pysam)):
                (folder := tmp_path / f"{number}").mkdir(exist_ok=True)  # where htslib keeps the index
                given, wanted = (run(each, folder) for each in words)
                assert given == wanted, (command, run)
                assert given
        assert server.stop() == 0


SERVE = re.compile(r"(.*?)(?:^bams3 serve (?:--port (\d+) )?(.*) &$|\Z)", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["commands.md", "bridge.md"])
def test_the_commands_of_pages(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand in docs/, in order, at free ports; servers run until the page ends."""
    for program in ("samtools", "curl", "openssl"):
        need(program)
    convert(DATA / "illumina_wgs_NA12878.bam", tmp_path / "NA12878.bams3")
    monkeypatch.chdir(tmp_path)
    own = str(Path(__file__).relative_to(ROOT))
    blocks = [block for block in blocks_of(ROOT / "docs" / page) if block.elsewhere == own]
    assert blocks
    ports: dict[str, int | None] = {}
    variables = dict(os.environ)
    with ExitStack() as servers:
        for block in blocks:
            code = re.sub("^pip install .*", "", block.code, flags=re.MULTILINE)
            printed = ""
            for commands, port, words in SERVE.findall(code):
                here = re.sub(r":(80\d\d)/", lambda found: f":{ports[found[1]]}/", commands)
                printed += run(here, "sh", tmp_path, variables)
                if words:
                    url = servers.enter_context(serving(*words.split())).url
                    ports[port or "8080"] = urlsplit(url).port
            assert same(printed, block.output), f"{block.code}{printed}"


def by_debian(words: list[str], folder: Path) -> str:
    return subprocess.run(
        ["samtools", *words], cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def by_pysam(words: list[str], folder: Path) -> str:
    here = os.getcwd()
    os.chdir(folder)
    try:
        return getattr(pysam, words[0])(*words[1:])
    finally:
        os.chdir(here)


def test_sigterm_finishes_what_is_sent(
    local: Path, data: bytes, connection: Callable[[str, str], socket.socket]
) -> None:
    with serving(local) as server:
        taken = connection(server.url, "/bam/d.bam")
        begun = taken.recv(100)
        server.process.terminate()
        head, body = (begun + rest_of(taken)).split(b"\r\n\r\n", 1)
        assert b" 200 OK" in head
        assert body == data
        assert server.process.wait(HANG) == 0
        with pytest.raises(ConnectionRefusedError):
            connection(server.url, "/bam/d.bam")


def test_a_client_who_goes_stops_the_work(
    local: Path, data: bytes, connection: Callable[[str, str], socket.socket]
) -> None:
    with serving(local) as server:
        taken = connection(server.url, "/bam/d.bam")
        taken.recv(100)
        taken.close()
        assert server.stop() == 0
        (line,) = server.lines()
        assert "GET /bam/d.bam 200 " in line
        assert int(line.split()[-2]) < len(data)


def test_damage_cuts_the_answer(local: Path, data: bytes, tmp_path: Path) -> None:
    """A client sees that bytes are missing, and what it has is right; the log has one line; others go on."""
    dataset = Path(shutil.copytree(local, tmp_path / "d.bams3"))
    entry = DatasetReader(dataset).index[1]  # behind more than a portion
    chunk = bytearray((dataset / entry.path).read_bytes())
    chunk[20] ^= 1
    (dataset / entry.path).write_bytes(chunk)
    with serving(dataset) as server:
        taken = b""
        with httpx2.stream("GET", f"{server.url}/bam/d.bam", timeout=HANG) as given:
            assert given.headers["content-length"] == str(len(data))
            with suppress(httpx2.RemoteProtocolError):
                for portion in given.iter_raw():
                    taken += portion
        assert data.startswith(taken)
        assert 0 < len(taken) < len(data)
        at = {"range": f"bytes={len(taken) + (1 << 20)}-"}
        refused = httpx2.get(f"{server.url}/bam/d.bam", headers=at, timeout=HANG)
        assert (refused.status_code, str(tmp_path) in refused.text) == (500, False)
        assert httpx2.get(f"{server.url}/bam/d.bam", headers={"range": "bytes=0-9"}).content == data[:10]
        assert server.stop() == 0
        lines = server.lines()
        failures = [line for line in lines if "failed" in line]
        assert len(failures) == 2
        assert len(lines) == 5
        assert all("row group 0: stream" in line for line in failures)


# What an answer meets in the middle, and what the log says of it.
ENDS = [
    (None, "closed: the client read nothing for 0 s"),
    (FormatError("x.chunk: damaged\nbadly"), "failed: x.chunk: damaged\\nbadly"),
    (OSError(5, "Input/output error", "x.chunk"), "failed: x.chunk: Input/output error"),
    (TimeoutError("storage"), "failed: storage"),
    (MemoryError(), "failed: out of memory; reduce --memory or --workers"),
    (http_log.ClientLeftError(), ""),
    (RuntimeError("bug"), "failed: RuntimeError('bug')"),
]


@pytest.mark.parametrize(("error", "said"), ENDS, ids=[said for _, said in ENDS])
def test_the_log_of_an_answer_that_ends_early(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception | None, said: str
) -> None:
    """One line for it, one for the request, and, of a fault of the program, where it is."""
    monkeypatch.setattr(http_log, "STALLED", 0.01 if error is None else HANG)
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        if error:
            raise error
        await send({"type": "http.response.body", "body": b"678", "more_body": True})

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            await anyio.sleep_forever()

    scope = {"type": "http", "method": "GET", "path": "/x\n", "client": ("::1", 1)}
    anyio.run(http_log.Log(app), scope, None, send)
    *early, last = capsys.readouterr().err.splitlines()
    first, rest = early[:1], early[1:]
    assert [line.partition("Z ")[2] for line in first] == ([f"GET /x\\n: {said}"] if said else [])
    assert re.search(r"Z ::1 - GET /x\\n 200 5 \d+ms$", last)
    assert bool(rest) == isinstance(error, RuntimeError)


MISTAKES = {
    "no dataset": (["{0}/none.bams3"], "no such file or directory"),
    "two of one name": (["{1}", "{1}"], r"would have the same name, in.bam"),
    "for others": (
        ["--host", "0.0.0.0", "{1}"],
        "others could read the datasets; give --tokens",
    ),
    "no such host": (["--host", "192.0.2.1", "--public", "{1}"], "can't listen on 192.0.2.1, port 0"),
    "no such port": (["--port", "70000", "{1}"], "--port 70000: give a number from 0 to 65535"),
    "no folder": (["--bigwigs", "{0}/none", "{1}"], "none: no such folder"),
    "no memory": (["--memory", "0", "{1}"], "give a positive number"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_line(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    words, message = MISTAKES[case]
    words = [word.format(tmp_path, small.with_suffix(".bams3")) for word in words]
    assert main(["serve", "--port", "0", *words]) == 1
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_the_port_that_another_has(small: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, str(small.with_suffix(".bams3"))]) == 1
    assert "in use; give another --host or --port" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("there", "many", "one"),
    [
        (None, 512, 512),
        (256 << 20, 128, 128),
        (1 << 30, 512, 512),
        (8 << 30, 2048, 512),
        (64 << 30, 4096, 512),
    ],
)
def test_memory_for_decoded_records(
    there: int | None, many: int, one: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It follows the limit of the cgroup."""
    monkeypatch.setattr(decoder, "available_memory", lambda: there)
    assert (decoder.bytes_for_many(), decoder.bytes_for_one()) == (many << 20, one << 20)
