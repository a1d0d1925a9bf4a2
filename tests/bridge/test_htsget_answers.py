"""What htsget 1.3 says of every answer, whatever is asked for: statement by statement of the specification."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest
from bams3.bridge import http_htsget, selection
from bams3.dataset import layout
from bams3.operations.convert import convert
from htsget_client import asked, block_of, blocks_of, sam_of, ticket_of
from served import client
from starlette.testclient import TestClient

ODD = "ä b#?&+"
"""A name of a dataset whose every character has a meaning in URLs."""
ORIGIN = {"origin": "http://localhost:3000"}


@pytest.fixture(scope="module")
def http(local: Path, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A client of datasets with names that ask for trouble; all are the same one."""
    folder = tmp_path_factory.mktemp("answers")
    for name in (ODD, "service-info"):
        (folder / f"{name}.bams3").symlink_to(local)
    return client(local, folder)


ASKED: dict[str, Any] = {
    "everything": "",
    "the header": "class=header",
    "parts of row groups": "referenceName=chr1&start=500&end=900",
    "nothing": "referenceName=chr2&start=900000&end=900001",
    "columns": "fields=QUAL&tags=",
    "POST": {"regions": [{"referenceName": "chr2"}], "tags": ["RG"]},
}


def ticket(answer: Any) -> Any:
    """The object `htsget` of a ticket with a block that has a URL, and one that is in the ticket."""
    found = answer.json()["htsget"]
    assert {part["url"].partition(":")[0] for part in found["urls"]} <= {"http", "data"}
    return found


# What the specification says → what is true of the answer.
STATEMENTS: dict[str, Callable[[Any], bool]] = {
    "successful requests have status 200": lambda a: a.status_code == 200,
    "the response is JSON in UTF-8": lambda a: bool(a.content.decode("utf-8")),
    "an object with the single key htsget": lambda a: list(a.json()) == ["htsget"],
    "so the message starts with the same prefix": lambda a: a.text.startswith('{"htsget":'),
    "Content-Type SHOULD have the version": lambda a: (
        a.headers["content-type"] == "application/vnd.ga4gh.htsget.v1.3.0+json; charset=utf-8"
    ),
    "no content-coding": lambda a: "content-encoding" not in a.headers,
    "Origin is propagated": lambda a: a.headers["access-control-allow-origin"] == ORIGIN["origin"],
    "only the format BAM is supported": lambda a: ticket(a)["format"] == "BAM",
    "urls is an array of objects": lambda a: all(type(part) is dict for part in ticket(a)["urls"]),
    "headers have string values": lambda a: all(part["headers"] == {} for part in ticket(a)["urls"]),
    "all or none of the URLs MUST have a class": lambda a: (
        {part.get("class") for part in ticket(a)["urls"]} == {"header", "body"}
    ),
    "URLs are percent-encoded": lambda a: all(
        re.fullmatch(r"(data:[a-z0-9./]+;base64,[A-Za-z0-9+/]+=*|http://[A-Za-z0-9/._~?=%-]+)", part["url"])
        for part in ticket(a)["urls"]
    ),
    "inline data should not exceed a few megabytes": lambda a: len(a.content) < 2 << 20,
}  # fmt: skip


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("name", ["d", "%C3%A4%20b%23%3F%26%2B"], ids=["name", "odd"])
def test_tickets(http: TestClient, name: str, what: str) -> None:
    answer = asked(http, name, ASKED[what], **ORIGIN, **{"accept-encoding": "gzip, br"})
    assert [said for said, holds in STATEMENTS.items() if not holds(answer)] == []
    blocks = {part["url"]: block_of(http, part["url"]) for part in ticket(answer)["urls"]}
    records = sam_of(b"".join(blocks.values()))  # header, and end-of-file marker, also of empty result sets
    assert bool(records) == (what not in ("the header", "nothing"))
    for url in (url for url in blocks if url.startswith("http")):
        given = http.get(url, headers=ORIGIN)  # can be tried again, by scripts of other sites, too
        assert (given.status_code, given.content) == (200, blocks[url])
        assert given.headers["access-control-allow-origin"] == ORIGIN["origin"]
        assert "content-encoding" not in given.headers


def test_names(http: TestClient) -> None:
    """`service-info` is reserved; other names are shown as they are."""
    assert http.get("/reads/service-info").json()["type"]["artifact"] == "htsget"
    assert ODD in http.get("/datasets").json()


def test_sizes() -> None:
    """Data blocks should not exceed 1 GB, and inline ones a few megabytes."""
    assert selection.LARGEST <= 10**9
    assert http_htsget.INLINE <= 2 << 20


@pytest.mark.parametrize("place", ["/reads/d", "/reads/none", "/reads/service-info", "/blocks/d?ticket=x"])
def test_preflight(http: TestClient, place: str) -> None:
    """Preflight requests are accepted for every resource, whether or not it exists, and errors can be read, too."""
    more = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    given = http.options(place, headers=ORIGIN | more)
    assert given.status_code == 200
    told = {"allow-origin": ORIGIN["origin"], "allow-headers": "authorization", "max-age": str(30 * 86_400)}
    assert {name: given.headers[f"access-control-{name}"] for name in told} == told
    assert http.get(place, headers=ORIGIN).headers["access-control-allow-origin"] == ORIGIN["origin"]


PLACES = [
    {"referenceName": "chr2", "start": 100, "end": 200},
    {"referenceName": "chr1", "start": 500, "end": 900},
]


@pytest.mark.parametrize("query", [{}, {"regions": PLACES}, {"regions": PLACES[:1], "fields": ["POS"]}])
def test_contigs_that_share_a_chunk(
    http: TestClient, source: Path, query: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the same as if each had its own."""
    monkeypatch.setattr(layout, "MANY_CONTIGS", 1)
    convert(source, tmp_path / "d.bams3", chunk_size="8M")
    assert (tmp_path / "d.bams3/data/_contigs").is_dir()
    found, wanted = (
        sam_of(b"".join(blocks_of(each, ticket_of(each, "d", query))))
        for each in (client(tmp_path / "d.bams3"), http)
    )
    assert found == wanted != []


def test_reads_past_the_end_of_a_contig(tmp_path: Path) -> None:
    records = [hostile.good(1, pos) for pos in (10, 4990, 90_000)]
    (tmp_path / "x.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    convert(tmp_path / "x.bam", tmp_path / "x.bams3")
    http = client(tmp_path / "x.bams3")
    for query, number in [("", 3), ("&start=4995", 2), ("&start=6000", 1), ("&start=6000&end=90000", 0)]:
        data = b"".join(blocks_of(http, ticket_of(http, "x", f"referenceName=chr2{query}&notags=XX")))
        assert len(sam_of(data)) == number, query


@pytest.mark.parametrize("more", [{}, {"fields": ["POS"]}])
def test_urls_of_many_regions(http: TestClient, more: Any) -> None:
    """They are short enough for proxies, and the blocks have the same records."""
    places = random.Random(1).sample(range(990_000), 740)
    regions = [{"referenceName": "chr1", "start": at, "end": at + 1 + at % 7} for at in places]
    ticket = ticket_of(http, "d", {"regions": regions} | more)
    assert max(len(part["url"]) for part in ticket["urls"] if part["url"].startswith("http")) < 6000
    found = sam_of(b"".join(blocks_of(http, ticket)))
    every = sam_of(
        b"".join(blocks_of(http, ticket_of(http, "d", {"regions": [{"referenceName": "chr1"}]} | more)))
    )
    assert 0 < len(found) < len(every)
    assert set(found) <= set(every)


def test_head_of_a_block(http: TestClient) -> None:
    """Its length is not known before its records are cut out."""
    for query in ("referenceName=chr1&start=500&end=900", "fields=POS", ""):
        (url,) = [
            part["url"] for part in ticket_of(http, "d", query)["urls"] if part["url"].startswith("http")
        ]
        head, whole = http.head(url), http.get(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        assert head.headers.get("content-length", str(len(whole.content))) == str(len(whole.content))
