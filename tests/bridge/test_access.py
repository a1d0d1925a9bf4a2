"""Tokens: what each of them sees, which is exact to the record, and what nobody sees."""

import hashlib
import random
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import httpx2
import pysam
import pytest
from bams3.bridge import access
from bams3.bridge.access import Tokens
from bams3.bridge.virtual_bam import VirtualBam
from bams3.cli import main
from bams3.dataset.reader import DatasetReader
from bams3.errors import UsageError
from htsget_client import asked, blocks_of, sam_of, ticket_of
from peers import need
from served import HANG, client, serving
from starlette.testclient import TestClient
from virtual_bams import whole

HEADING = "\t".join(access.COLUMNS)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def table(path: Path, *rows: tuple[str, str, str]) -> Path:
    """Write the file of tokens: token, which is the user's name, datasets, regions."""
    lines = [
        HEADING,
        *("\t".join((user, digest(user), datasets, regions)) for user, datasets, regions in rows),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def cohort(local: Path, small: Path, tmp_path: Path) -> Path:
    """A folder of the datasets S1 and S2, and tokens for them."""
    folder = tmp_path / "cohort"
    shutil.copytree(local, folder / "S1.bams3")
    shutil.copytree(small.with_suffix(".bams3"), folder / "S2.bams3")
    return folder


def http_of(cohort: Path, *rows: tuple[str, str, str]) -> TestClient:
    return client(cohort, tokens=Tokens(str(table(cohort.parent / "tokens.tsv", *rows))))


def as_user(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


ROWS = [
    ("odd", "S[1] S? *3.", "."),
    ("all", "*", "."),
    ("one", "S1", "."),
    ("both", "S1 S2", "."),
    ("part", "S*", "chr1:1001-2000"),
    ("none", "T", "."),
]
# User, dataset, and the status of its BAM, and of a ticket.
SEEN = [
    ("odd", "S1", 404, 404), ("all", "S1", 200, 200), ("all", "S2", 200, 200), ("all", "S3", 404, 404),
    ("one", "S1", 200, 200), ("one", "S2", 404, 404), ("one", "S3", 404, 404), ("both", "S2", 200, 200),
    ("part", "S1", 403, 200), ("part", "S3", 404, 404), ("none", "S1", 404, 404),
    ("", "S1", 403, 403), ("", "S3", 403, 403), ("other", "S1", 401, 401), ("other", "S3", 401, 401),
]  # fmt: skip


def test_what_each_token_sees(cohort: Path) -> None:
    """Where a token sees nothing, all names are alike: those of datasets, and others."""
    http = http_of(cohort, *ROWS)
    answers: dict[tuple[str, str, int], set[str]] = {}
    for user, name, of_file, of_ticket in SEEN:
        for path, status in [
            (f"/bam/{name}.bam", of_file), (f"/bam/{name}.bam.bai", of_file),
            (f"/reads/{name}", of_ticket), (f"/reads/{name}?class=header", of_ticket),
        ]:  # fmt: skip
            given = http.get(path, headers=as_user(user))
            assert given.status_code == status, (user, path)
            assert ("www-authenticate" in given.headers) == (status == 401)
            if status != 200:
                answers.setdefault((user, path.split("/")[1], status), set()).add(given.text)
                assert name not in given.text
    assert all(len(texts) == 1 for texts in answers.values())
    assert http.get("/health").status_code == 200
    for header in ("all", "Basic all", "Bearer", "Bearer  ", f"Bearer {digest('all')}"):
        assert http.get("/reads/S1", headers={"authorization": header}).status_code == 401


def test_the_errors_of_a_ticket(cohort: Path) -> None:
    http = http_of(cohort, *ROWS)
    for user, name, kind in [
        ("", "S1", "PermissionDenied"), ("other", "S1", "InvalidAuthentication"), ("one", "S2", "NotFound"),
    ]:  # fmt: skip
        assert asked(http, name, **as_user(user)).json()["htsget"]["error"] == kind
        assert asked(http, name, {}, **as_user(user)).json()["htsget"]["error"] == kind


Overlapping = Callable[[list[tuple[str, int, int]]], set[str]]


@pytest.fixture(scope="module")
def lines(source: Path) -> list[tuple[str, int, int, str]]:
    """Reference (*: none), start, end and line of each record."""
    with pysam.AlignmentFile(str(source)) as file:
        return [
            (read.reference_name or "*", read.pos, read.reference_end or 0, read.to_string()) for read in file
        ]


def overlapping(lines: Any, places: list[tuple[str, int, int]]) -> set[str]:
    return {
        line
        for name, start, end, line in lines
        if any(name == at and (name == "*" or (start < last and end > first)) for at, first, last in places)
    }


def random_places(chance: random.Random) -> list[tuple[str, int, int]]:
    found = []
    for _ in range(chance.choice([1, 2, 7])):
        name, length = chance.choice([("chr1", 1_000_000)] * 3 + [("chr2", 5000)])
        start = chance.randrange(length - 1)
        found.append((name, start, min(start + chance.choice([1, 90, 3000, 400_000]), length)))
    return found + [("*", 0, 0)] * chance.choice([0, 0, 1])


@pytest.mark.parametrize("seed", range(8))
def test_records_that_a_token_may_not_see(cohort: Path, lines: Any, seed: int) -> None:
    """An answer has exactly the records that overlap what is granted and what is asked for, in order, and says so."""
    chance = random.Random(seed)
    granted = random_places(chance)
    words = [f"{name}:{start + 1}-{end}" if name != "*" else "_unplaced" for name, start, end in granted]
    http = http_of(cohort, ("part", "S1", " ".join([*words, "chr9", "chr9:5-6"])))
    seen = overlapping(lines, granted)
    for number in range(4):
        places = random_places(chance) if number else []
        regions = [
            {"referenceName": name} | ({"start": start, "end": end} if name != "*" else {})
            for name, start, end in places
        ]
        query: dict[str, Any] = {"regions": regions} if places else {}
        wanted = seen & overlapping(lines, places) if places else seen
        ticket = ticket_of(http, "S1", query, **as_user("part"))
        found = sam_of(b"".join(blocks_of(http, ticket)))
        assert found == [line for *_, line in lines if line in wanted]
        said = [
            (place["referenceName"], place.get("start", 0), place.get("end", 0))
            for place in ticket["restrictedTo"]
        ]
        names = {name for name, *_ in places or granted}
        assert overlapping(lines, said) == overlapping(lines, [each for each in granted if each[0] in names])
        some = ticket_of(http, "S1", query | {"fields": ["QNAME"], "tags": []}, **as_user("part"))
        assert [line.split("\t")[0] for line in sam_of(b"".join(blocks_of(http, some)))] == [
            line.split("\t")[0] for line in found
        ]


def test_blocks_of_a_restricted_ticket_have_nothing_else(cohort: Path, lines: Any) -> None:
    """Each by itself, and in any range of it."""
    http = http_of(cohort, *ROWS)
    ticket = ticket_of(http, "S1", "referenceName=chr1&start=1990", **as_user("part"))
    url = url_of(ticket)
    for headers in ({}, {"range": "bytes=0-"}, as_user("all")):
        data = http.get(url, headers=headers).content
        header = VirtualBam(DatasetReader(cohort / "S1.bams3")).header
        wanted = overlapping(lines, [("chr1", 1000, 2000)]) & overlapping(lines, [("chr1", 1990, 1 << 30)])
        assert set(sam_of(header + data + hostile.END_OF_FILE)) == wanted
    assert http.get(url.replace("/S1?", "/S2?")).status_code == 404


def test_tokens_that_change(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, for new tickets and for the blocks of old ones; a file that is damaged admits nobody."""
    monkeypatch.setattr(access, "STEADY", 0)
    http = http_of(cohort, *ROWS)
    urls = {user: url_of(ticket_of(http, "S1", "", **as_user(user))) for user in ("one", "part")}
    file = table(cohort.parent / "tokens.tsv", ("one", "S1 S3", "."), *ROWS[3:])
    assert http.get(urls["one"]).status_code == 403
    assert http.get(urls["part"]).status_code == 200
    assert http.get("/reads/S1", headers=as_user("all")).status_code == 401
    file.write_text("damaged")
    http = TestClient(http.app, "http://localhost", raise_server_exceptions=False)
    assert http.get("/reads/S1", headers=as_user("one")).status_code == 500
    assert http.get(urls["part"]).status_code == 500


def url_of(ticket: dict[str, Any]) -> str:
    """The URL of a ticket's only block that is not in the ticket itself."""
    (url,) = [part["url"] for part in ticket["urls"] if "://" in part["url"]]
    return str(url)


WRONG = {
    "": "the first line must be user sha256 datasets regions",
    "user,sha256,datasets,regions": "the first line must be",
    f"{HEADING}\na\tb\tc": "line 2: give 4 values",
    f"{HEADING}\na\t{'0' * 64}\t \t.": "line 2: give 4 values",
    f"{HEADING}\n\na\tsecret\tS1\t.": "line 3: the second value must be the SHA-256",
    f"{HEADING}\na\t{'0' * 64}\tS1\t.\nb\t{'0' * 64}\tS2\t.": "line 3: another line has the same token",
    "\udcff": "not UTF-8 text; save it as UTF-8",
}


def test_a_file_from_another_system(tmp_path: Path) -> None:
    """A byte order mark, ends of lines, and capital digits do not matter."""
    file = table(tmp_path / "tokens.tsv", *ROWS)
    grants = Tokens(str(file)).grants()
    text = file.read_text().replace(digest("all"), digest("all").upper()).replace("\n", "\r\n")
    file.write_bytes(text.encode("utf-8-sig"))
    assert Tokens(str(file)).grants() == grants


@pytest.mark.parametrize("text", WRONG, ids=WRONG.values())
def test_files_of_tokens_that_are_wrong(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.tsv"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(UsageError, match=WRONG[text]) as raised:
        Tokens(str(file))
    assert "secret" not in str(raised.value)


OPTIONS = {
    "--public --tokens {t} {d}": "--public and --tokens cannot be combined; give one of them",
    "--certificate {t} {d}": "--certificate and --key belong together; give both",
    "--certificate {t} --key {t} {d}": "not a certificate in PEM format",
    "--certificate none --key none {d}": "No such file",
    "--tokens none {d}": "No such file",
}


@pytest.mark.parametrize("words", OPTIONS)
def test_options(small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: str) -> None:
    file, dataset = table(tmp_path / "t"), small.with_suffix(".bams3")
    assert main(["serve", "--port", "0", *words.format(t=file, d=dataset).split()]) == 1
    said = capfd.readouterr().err
    assert OPTIONS[words] in said
    assert said.count("\n") == 1


CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    " -addext subjectAltName=IP:127.0.0.1"
)


def test_tls_and_the_log(cohort: Path, tmp_path: Path) -> None:
    """Tickets give URLs of the server as the client reached it; the log names users, and no token or signature."""
    need("openssl")
    subprocess.run(["sh", "-c", CERTIFICATE], cwd=tmp_path, check=True, capture_output=True)
    tokens = table(tmp_path / "tokens.tsv", ("s3cret", "S1", "."))
    tokens.write_text(tokens.read_text().replace("s3cret\t", "alice\t"))
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    words = [
        "--tokens",
        tokens,
        "--certificate",
        tmp_path / "cert.pem",
        "--key",
        tmp_path / "key.pem",
        cohort,
    ]
    with serving(*words) as server, httpx2.Client(verify=trusted, timeout=HANG) as http:
        assert server.url.startswith("https://127.0.0.1:")
        ticket = http.get(f"{server.url}/reads/S1", headers=as_user("s3cret")).json()["htsget"]
        url = url_of(ticket)
        assert url.startswith(f"{server.url}/blocks/S1?ticket=")
        bam = VirtualBam(DatasetReader(cohort / "S1.bams3"))
        assert bam.header + http.get(url).content == whole(bam)[:-28]
        assert http.get(f"{server.url}/reads/S1").status_code == 403
        assert server.stop() == 0
        log = "\n".join(server.lines())
        assert " alice GET /reads/S1 200 " in log
        assert " alice GET /blocks/S1 200 " in log
        assert " - GET /reads/S1 403 " in log
        assert "s3cret" not in log
        assert "ticket=" not in log
        assert digest("s3cret") not in log
