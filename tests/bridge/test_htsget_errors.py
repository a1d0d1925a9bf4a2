"""The errors of htsget 1.3, statement by statement of the specification."""

from pathlib import Path
from typing import Any

import pytest
from htsget_client import asked
from served import client
from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def http(local: Path) -> TestClient:
    return client(local)


REGION: dict[str, Any] = {"referenceName": "chr1"}
# What the specification says, the request (GET parameters, or a POST body), and the type of the error.
REFUSED: list[tuple[str, Any, str]] = [
    ("UnsupportedFormat if the requested format is not supported", "format=CRAM", "UnsupportedFormat"),
    ("UnsupportedFormat, POST", {"format": "CRAM"}, "UnsupportedFormat"),
    ("UnsupportedFormat for variants", "format=VCF", "UnsupportedFormat"),
    ("class MUST be header", "class=body", "InvalidInput"),
    ("class MUST be header, POST", {"class": "body"}, "InvalidInput"),
    ("InvalidInput if others are given with class=header", "class=header&referenceName=chr1", "InvalidInput"),
    ("the same with fields", "class=header&fields=POS", "InvalidInput"),
    ("the same with tags", "class=header&tags=", "InvalidInput"),
    ("the same with notags", "class=header&notags=NM", "InvalidInput"),
    ("the same, POST", {"class": "header", "regions": [{"referenceName": "chr1"}]}, "InvalidInput"),
    ("the same, POST, with fields", {"class": "header", "fields": ["POS"]}, "InvalidInput"),
    ("the same, POST, with tags", {"class": "header", "tags": []}, "InvalidInput"),
    ("NotFound if the reference does not exist", "referenceName=chr3", "NotFound"),
    ("NotFound, POST", {"regions": [{"referenceName": "chr1"}, {"referenceName": "chr3"}]}, "NotFound"),
    ("InvalidInput if start without reference", "start=5", "InvalidInput"),
    ("InvalidInput if end without reference", "end=5", "InvalidInput"),
    ("InvalidInput if start and reference *", "referenceName=*&start=5", "InvalidInput"),
    ("InvalidInput if end and reference *", "referenceName=*&end=5", "InvalidInput"),
    ("InvalidInput if start and end without reference", "start=4&end=5", "InvalidInput"),
    ("InvalidRange if start is greater than end", "referenceName=chr1&start=6&end=5", "InvalidRange"),
    ("start is an integer", "referenceName=chr1&start=a", "InvalidInput"),
    ("start is unsigned", "referenceName=chr1&start=-1", "InvalidInput"),
    ("start has 32 bits", "referenceName=chr1&start=4294967296", "InvalidInput"),
    ("end has digits of ASCII", "referenceName=chr1&end=٣", "InvalidInput"),
    ("end is not empty", "referenceName=chr1&end=", "InvalidInput"),
    ("InvalidInput if tags and notags intersect", "tags=NM,RG&notags=RG", "InvalidInput"),
    ("the same, POST", {"tags": ["NM", "RG"], "notags": ["RG"]}, "InvalidInput"),
    ("fields are those of the list", "fields=QNAME,ENDPOS", "InvalidInput"),
    ("tags have two characters", "tags=NMX", "InvalidInput"),
    ("a parameter is given once", "referenceName=chr1&referenceName=chr2", "InvalidInput"),
    ("InvalidInput if the region list is empty", {"regions": []}, "InvalidInput"),
    ("or not well-formed: no list", {"regions": {"referenceName": "chr1"}}, "InvalidInput"),
    ("or not well-formed: no objects", {"regions": ["chr1"]}, "InvalidInput"),
    ("InvalidInput if referenceName is not specified", {"regions": [{"start": 5}]}, "InvalidInput"),
    ("or nothing is", {"regions": [{}]}, "InvalidInput"),
    ("start and reference *, POST", {"regions": [{"referenceName": "*", "start": 5}]}, "InvalidInput"),
    ("end and reference *, POST", {"regions": [{"referenceName": "*", "end": 5}]}, "InvalidInput"),
    ("referenceName is a string", {"regions": [{"referenceName": 1}]}, "InvalidInput"),
    ("InvalidRange if start > end, POST", {"regions": [REGION | {"start": 6, "end": 5}]}, "InvalidRange"),
    ("InvalidRange if start = end, POST", {"regions": [REGION | {"start": 5, "end": 5}]}, "InvalidRange"),
    ("start is an integer, POST", {"regions": [REGION | {"start": "5"}]}, "InvalidInput"),
    ("start is not a truth value", {"regions": [REGION | {"start": True}]}, "InvalidInput"),
    ("start is not null", {"regions": [REGION | {"start": None}]}, "InvalidInput"),
    ("end has 32 bits, POST", {"regions": [REGION | {"end": 1 << 32}]}, "InvalidInput"),
    ("start is unsigned, POST", {"regions": [REGION | {"start": -5}]}, "InvalidInput"),
    ("places are not at the top level", {"referenceName": "chr1"}, "InvalidInput"),
    ("neither are start and end", {"regions": [REGION], "start": 5, "end": 6}, "InvalidInput"),
    ("fields is an array", {"fields": "QNAME"}, "InvalidInput"),
    ("tags is an array of strings", {"tags": [1]}, "InvalidInput"),
    ("format is a string", {"format": 1}, "InvalidInput"),
    ("the body is a JSON object", [], "InvalidInput"),
    ("the body is JSON", b"{", "InvalidInput"),
    ("the body is UTF-8", b'{"format": "\xff"}', "InvalidInput"),
    ("the body is not nested for ever", b"[" * 100_000, "InvalidInput"),
    ("PayloadTooLarge if the body is", b" " * (1 << 20) + b"{}", "PayloadTooLarge"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "kind"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_errors(http: TestClient, query: Any, kind: str) -> None:
    statuses = {"NotFound": 404, "PayloadTooLarge": 413}
    given = asked(http, "d", query)
    assert given.status_code == statuses.get(kind, 400)
    assert given.headers["content-type"] == "application/json"
    error = given.json()["htsget"]
    assert error["error"] == kind
    assert error["message"]
    assert given.text.startswith('{"htsget":')


def test_errors_of_the_request(http: TestClient) -> None:
    """An unknown id; a POST request with parameters in its URL; another method."""
    assert asked(http, "none").json()["htsget"]["error"] == "NotFound"
    given = http.post("/reads/d?format=BAM", json={})
    assert (given.status_code, given.json()["htsget"]["error"]) == (400, "InvalidInput")
    assert http.put("/reads/d").status_code == 405
