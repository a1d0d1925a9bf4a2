"""What htsget 1.3 says of every answer, whatever is asked for: statement by statement of the specification."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bams3.bridge import http_htsget, selection
from htsget_client import asked, block_of, sam_of
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
