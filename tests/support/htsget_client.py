"""A client of htsget, which does what the specification asks of clients, and no more."""

import base64
import tempfile
from typing import Any
from urllib.parse import urlsplit

import pysam
from starlette.testclient import TestClient


def ticket_of(http: TestClient, name: str, query: Any = None, **headers: str) -> dict[str, Any]:
    """The ticket for GET parameters (a string) or a POST body (a dict)."""
    given = asked(http, name, query, **headers)
    assert given.status_code == 200, given.text
    assert given.text.startswith('{"htsget":')
    assert given.headers["content-type"].startswith("application/vnd.ga4gh.htsget.v1.")
    ticket: dict[str, Any] = given.json()["htsget"]
    assert ticket["format"] == "BAM"
    assert {part["class"] for part in ticket["urls"]} <= {"header", "body"}
    assert all(part["headers"] == {} for part in ticket["urls"])
    return ticket


def asked(http: TestClient, name: str, query: Any = None, **headers: str) -> Any:
    """The answer to a request for a ticket."""
    if isinstance(query, dict | list | bytes):
        body = {"content": query} if isinstance(query, bytes) else {"json": query}
        return http.post(f"/reads/{name}", headers=headers, **body)
    return http.get(f"/reads/{name}{'?' if query else ''}{query or ''}", headers=headers)


def blocks_of(http: TestClient, ticket: dict[str, Any], kind: str = "") -> list[bytes]:
    """The data blocks of a ticket, or those of a class."""
    return [block_of(http, part["url"]) for part in ticket["urls"] if kind in ("", part["class"])]


def block_of(http: TestClient, url: str) -> bytes:
    """The block at a URL; the client's own credentials are not sent."""
    if url.startswith("data:"):
        return base64.b64decode(url.partition(";base64,")[2], validate=True)
    place = urlsplit(url)
    given = http.get(f"{place.path}?{place.query}", headers={"authorization": ""})
    assert given.status_code == 200, given.text
    return bytes(given.content)


def sam_of(data: bytes) -> list[str]:
    """The records of a BAM file, as lines of SAM."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with pysam.AlignmentFile(file.name, check_sq=False) as bam:
            return [read.to_string() for read in bam]
