"""htsget 1.3, statement by statement of the specification, and what htslib makes of it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hostile
import httpx2
import pysam
import pytest
from bams3.bridge import http_htsget, library, selection, tickets
from bams3.bridge.decoder import Decoder
from bams3.bridge.virtual_bam import VirtualBam
from bams3.chunk import spans
from bams3.chunk.footer import SMALL_COLD
from bams3.codec import HOT_STREAMS
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from bams3.select.projection import FIELDS
from htsget_client import asked, block_of, blocks_of, sam_of, ticket_of
from peers import need
from remote_datasets import asked as totals_of
from served import HANG, client, serving
from starlette.testclient import TestClient
from virtual_bams import whole


@pytest.fixture(scope="module")
def http(local: Path) -> TestClient:
    return client(local)


@pytest.fixture(scope="module")
def reads(source: Path) -> Callable[..., list[str]]:
    """Which reads samtools finds in regions (0-based half-open) of the BAM, in the order of the file."""

    def find(*regions: tuple[str, int, int]) -> list[str]:
        with pysam.AlignmentFile(str(source)) as file:
            every = list(file)
            if not regions:
                return [read.to_string() for read in every]
            chosen = {
                read.to_string()
                for name, start, end in regions
                for read in (file.fetch(name, start, end) if name != "*" else [r for r in every if r.tid < 0])
            }
            return [text for text in (read.to_string() for read in every) if text in chosen]

    return find


REGION: dict[str, Any] = {"referenceName": "chr1"}
ALL = ("chr1", 0, 1_000_000)
# What the specification says, the request, and the regions that samtools is asked for.
GIVEN: list[tuple[str, Any, list[tuple[str, int, int]]]] = [
    ("all reads if the reference is unspecified", "", []),
    ("the format is BAM by default", "format=BAM", []),
    ("and its name is that of the example", {"format": "bam"}, []),
    ("the entire file if regions is not present", {}, []),
    ("a whole reference", "referenceName=chr2", [("chr2", 0, 1 << 30)]),
    ("0 start, half open", "referenceName=chr1&start=300000&end=300001", [("chr1", 300_000, 300_001)]),
    ("start is inclusive", "referenceName=chr1&start=998967", [("chr1", 998_967, 1 << 30)]),
    ("end is exclusive", "referenceName=chr1&end=34", [("chr1", 0, 34)]),
    ("* is unplaced reads", "referenceName=*", [("*", 0, 0)]),
    ("nothing there is valid", "referenceName=chr2&start=900000&end=900001", [("chr2", 900_000, 900_001)]),
    ("an empty range", "referenceName=chr1&start=5&end=5", [("chr2", 900_000, 900_001)]),
    ("the largest integer", "referenceName=chr1&start=4294967295", [("chr2", 900_000, 900_001)]),
    ("parameters that it does not know", "referenceName=chr2&key=1", [("chr2", 0, 1 << 30)]),
    ("one region", {"regions": [{"referenceName": "chr2"}]}, [("chr2", 0, 1 << 30)]),
    (
        "unplaced and others",
        {"regions": [{"referenceName": "*"}, {"referenceName": "chr2"}]},
        [("chr2", 0, 1 << 30), ("*", 0, 0)],
    ),
    (
        "order of the file, each once",
        {"regions": [{"referenceName": "chr2", "start": 100, "end": 200}, REGION | {"start": 500, "end": 700},
                     REGION | {"start": 600, "end": 900}, REGION | {"start": 600, "end": 601}]},
        [("chr2", 100, 200), ("chr1", 500, 900)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("query", "regions"), [case[1:] for case in GIVEN], ids=[case[0] for case in GIVEN])
def test_records(
    http: TestClient, bam: VirtualBam, reads: Callable[..., list[str]], query: Any, regions: Any
) -> None:
    """Exactly the records that overlap, in order, each once, from whole row groups and from parts of them."""
    ticket = ticket_of(http, "d", query)
    data = b"".join(blocks_of(http, ticket))
    assert data.startswith(bam.header)
    assert data.endswith(hostile.END_OF_FILE)
    found, wanted = sam_of(data), reads(*regions)
    assert found == wanted
    body = query | {"notags": ["XX"]} if isinstance(query, dict) else f"{query}&notags=XX"
    exact = b"".join(blocks_of(http, ticket_of(http, "d", body)))
    assert (sam_of(exact), exact[: len(bam.header)]) == (wanted, bam.header)


@pytest.fixture(scope="module")
def bam(local: Path) -> VirtualBam:
    return VirtualBam(DatasetReader(local))


def test_everything_is_the_virtual_bam(http: TestClient, bam: VirtualBam) -> None:
    assert b"".join(blocks_of(http, ticket_of(http, "d"))) == whole(bam)


def test_regions_decode_their_row_groups_alone(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients who happen to ask for neighbours in order are not taken for one who reads on."""
    asked_for: list[int] = []
    submit = Decoder.submit
    monkeypatch.setattr(
        Decoder, "submit", lambda self, key, *rest: asked_for.append(key[1]) or submit(self, key, *rest)
    )
    http = client(local)
    zones = [zone for entry in DatasetReader(local).index for zone in entry.zones if entry.reference_id == 0]
    for zone in zones:
        middle = (zone.min_pos + zone.max_pos) // 2
        blocks_of(http, ticket_of(http, "d", f"referenceName=chr1&start={middle}&end={middle + 10}"))
    assert asked_for == [*range(len(zones))]


def test_large_blocks_are_divided(
    http: TestClient, bam: VirtualBam, monkeypatch: pytest.MonkeyPatch, reads: Callable[..., list[str]]
) -> None:
    monkeypatch.setattr(selection, "LARGEST", 1)
    monkeypatch.setattr(http_htsget, "INLINE", 0)
    ticket = ticket_of(http, "d")
    assert len(ticket["urls"]) > 6
    assert b"".join(blocks_of(http, ticket)) == whole(bam)
    (header,) = blocks_of(http, ticket, "header")
    assert header == bam.header
    partial = ticket_of(http, "d", "notags=XX&referenceName=chr1")
    assert len(partial["urls"]) > 3
    assert sam_of(b"".join(blocks_of(http, partial))) == reads(ALL)


def test_the_header_alone(http: TestClient, bam: VirtualBam) -> None:
    """By GET and POST, and the same as the header of every other ticket."""
    for query in ("class=header", {"class": "header"}, "class=header&format=BAM"):
        ticket = ticket_of(http, "d", query)
        assert blocks_of(http, ticket) == [bam.header, hostile.END_OF_FILE]
    assert blocks_of(http, ticket_of(http, "d", "fields=POS"), "header") == [bam.header]


def test_the_version_that_a_client_accepts(http: TestClient) -> None:
    for version, wanted in [("v1.2.0", "v1.2.0"), ("v2.0.0", "v1.3.0"), ("", "v1.3.0")]:
        given = asked(http, "d", accept=f"application/vnd.ga4gh.htsget.{version}+json")
        assert given.headers["content-type"] == f"application/vnd.ga4gh.htsget.{wanted}+json; charset=utf-8"


def test_service_info(http: TestClient) -> None:
    said = http.get("/reads/service-info").json()
    assert said["type"] == {"group": "org.ga4gh", "artifact": "htsget", "version": "1.3.0"}
    assert said["htsget"] == {
        "datatype": "reads", "formats": ["BAM"], "fieldsParameterEffective": True, "tagsParametersEffective": True,
    }  # fmt: skip
    assert {"id", "name", "organization", "version"} <= said.keys()


def test_cors(http: TestClient) -> None:
    """The origin and the headers are given back; a preflight holds for 30 days."""
    origin = {"origin": "http://localhost:3000"}
    ticket = http.get("/reads/d", headers=origin)
    url = next(part["url"] for part in ticket.json()["htsget"]["urls"] if part["url"].startswith("http"))
    for place in ("/reads/d", url):
        assert http.get(place, headers=origin).headers["access-control-allow-origin"] == origin["origin"]
        for method in ("GET", "POST"):
            more = {
                "access-control-request-method": method,
                "access-control-request-headers": "authorization",
            }
            given = http.options(place, headers=origin | more)
            assert given.status_code == 200
            assert given.headers["access-control-allow-headers"] == "authorization"
            assert given.headers["access-control-max-age"] == str(30 * 86_400)


def test_urls_are_signed_and_expire(http: TestClient, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [
        part["url"]
        for query in ("", "fields=POS")
        for part in ticket_of(http, "d", query)["urls"]
        if part["url"].startswith("http")
    ]
    for url in urls:
        assert block_of(http, url) == block_of(http, url)  # can be tried again
        place, _, signed = url.partition("?ticket=")
        data, _, checksum = signed.partition(".")
        forged = [
            signed[:-1] + ("A" if signed[-1] != "A" else "B"),
            data,
            f".{checksum}",
            "",
            "ä.ö",
            f"{data[:-1]}.{checksum}",
        ]
        for each in [f"{place}?ticket={text}" for text in forged] + [place]:
            given = http.get(each)
            assert (given.status_code, given.json()["htsget"]["error"]) == (403, "PermissionDenied")
        assert client(local).get(url).status_code == 403  # of another server
        assert http.head(url).status_code == 200
    now = tickets.time.time()
    monkeypatch.setattr(tickets.time, "time", lambda: now + tickets.LIFETIME + 1)
    assert {http.get(url).status_code for url in urls} == {403}


FIELD_LISTS = [
    [], ["POS"], ["POS", "CIGAR"], ["QNAME", "FLAG"], ["MAPQ", "RNEXT"], ["PNEXT", "TLEN"], ["SEQ"], ["QUAL"],
    ["CIGAR", "SEQ", "QUAL"], list(FIELDS),
]  # fmt: skip
ABSENT = {
    "QNAME": "*",
    "MAPQ": "255",
    "CIGAR": "*",
    "RNEXT": "*",
    "PNEXT": "0",
    "TLEN": "0",
    "SEQ": "*",
    "QUAL": "*",
}
TAG_LISTS: list[tuple[list[str] | None, list[str]]] = [
    (None, []), ([], []), (["NM"], []), (["RG", "MD", "zz"], []), (None, ["NM", "RG"]), (["MC", "AS"], ["XX"]),
]  # fmt: skip


def chosen(line: str, fields: list[str], tags: list[str] | None, notags: list[str]) -> list[str]:
    """What of a line of SAM is asked for, as the server understands it."""
    values = line.split("\t")
    always = {"FLAG", "RNAME", "POS", *(["SEQ"] if "QUAL" in fields else [])}
    found = [
        value if name in {*fields, *always} else ABSENT[name]
        for name, value in zip(FIELDS, values, strict=False)
    ]
    if "RNEXT" in fields and found[6] == "=" and values[2] == "*":
        found[6] = "*"
    kept = [tag for tag in values[11:] if (tags is None or tag[:2] in tags) and tag[:2] not in notags]
    return found + kept


@pytest.mark.parametrize("fields", FIELD_LISTS, ids=",".join)
def test_fields_and_tags(real_bam: Path, real_dataset: Path, fields: list[str]) -> None:
    """Records have what is asked for, and FLAG, RNAME and POS, which make them valid; QUAL has SEQ beside it."""
    http = client(real_dataset)
    with pysam.AlignmentFile(str(real_bam)) as file:
        lines = [read.to_string() for read in file]
    number = FIELD_LISTS.index(fields)
    for tags, notags in [TAG_LISTS[number % len(TAG_LISTS)], TAG_LISTS[(number + 1) % len(TAG_LISTS)]]:
        query: dict[str, Any] = {"fields": fields, "notags": notags} | (
            {"tags": tags} if tags is not None else {}
        )
        found = sam_of(b"".join(blocks_of(http, ticket_of(http, real_bam.stem, query))))
        wanted = ["\t".join(chosen(line, fields, tags, notags)) for line in lines]
        assert found == wanted


def test_columns_that_are_not_asked_for_are_not_read(
    local: Path, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a local dataset, and of one in a bucket."""
    read: set[str] = set()
    bytes_of = spans.Streams.bytes_of

    def noted(streams: Any, name: str, entry: Any) -> bytes:
        read.add(name)
        return bytes_of(streams, name, entry)

    monkeypatch.setattr(spans.Streams, "bytes_of", noted)
    zones = [zone for entry in DatasetReader(local).index for zone in entry.zones]
    hot, footers = (
        sum(zone.hot for zone in zones),
        sum(each.footer_bytes for each in DatasetReader(local).index),
    )
    small = sum(
        zone.cold for zone in zones if zone.cold <= SMALL_COLD
    )  # have one checksum, so are read as one
    for place in (local, remote):
        http = client(place)
        for query, wanted in READ.items():
            read.clear()
            ticket = ticket_of(http, "d", query)
            blocks, _, received = totals_of(partial(blocks_of, http, ticket))
            assert len(blocks) == 3
            names = {re.split("[.:]", name)[0] for name in read - {*HOT_STREAMS} if "tag." not in name}
            tags = {
                name[4:6] for name in read if name.startswith("tag.") and not name.startswith("tag.layout")
            }
            assert names | tags == wanted
            if place == remote and not wanted:
                assert (
                    received <= 1.02 * (hot + footers) + small
                )  # layouts of tags are in streams of their own


# Query → the cold streams that are read for it, by their first word, and tags.
READ = {
    "fields=POS,CIGAR&tags=": set(),
    "fields=QNAME&tags=": {"name"},
    "fields=POS&tags=RG": {"RG"},
    "fields=MAPQ&tags=NM": {"NM"},
    "fields=SEQ&notags=NM,RG": {"seq", "reference"},
    "fields=QUAL&tags=": {"seq", "reference", "qual"},
}


def test_htslib(real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    """samtools, Debian's and the one in pysam, reads tickets and their blocks as one file."""
    need("samtools")
    with pysam.AlignmentFile(str(real_bam)) as file:
        first = next(read for read in file if not read.is_unmapped)
        wanted = [
            read.to_string() for read in file.fetch(first.reference_name, 0, first.reference_start + 500)
        ]
    with serving(real_dataset) as server:
        url = f"{server.url}/reads/{real_bam.stem}"
        place = f"?referenceName={first.reference_name}&start=0&end={first.reference_start + 500}"
        for query in ("", place, f"{place}&notags=XX"):
            words = ["view", "-h", "--no-PG", url + query]
            done = subprocess.run(["samtools", *words], cwd=tmp_path, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == pysam.view(*words[1:])
            found = [line for line in done.stdout.splitlines() if not line.startswith("@")]
            if not query:
                assert done.stdout == pysam.view("-h", "--no-PG", str(real_bam))
            else:
                assert found == wanted
        bad = subprocess.run(["samtools", "view", f"{server.url}/reads/none"], capture_output=True, text=True)
        assert bad.returncode == 1
        assert server.stop() == 0
        assert not [line for line in server.lines() if "ticket=" in line]


def test_damage_cuts_a_block(local: Path, tmp_path: Path) -> None:
    """An answer without a length ends without the mark of its end."""
    dataset = Path(shutil.copytree(local, tmp_path / "d.bams3"))
    entry = DatasetReader(dataset).index[1]
    chunk = bytearray((dataset / entry.path).read_bytes())
    chunk[20] ^= 1
    (dataset / entry.path).write_bytes(chunk)
    with serving(dataset) as server:
        ticket = httpx2.get(f"{server.url}/reads/d?notags=XX").json()["htsget"]
        (url,) = [part["url"] for part in ticket["urls"] if part["url"].startswith("http")]
        with pytest.raises(httpx2.RemoteProtocolError, match="incomplete chunked read"):
            httpx2.get(url, timeout=HANG)
        assert server.stop() == 0
        assert len([line for line in server.lines() if "row group 0: stream" in line]) == 1


def test_a_ticket_of_a_dataset_that_was_replaced(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "STEADY", 0)
    dataset = Path(shutil.copytree(small.with_suffix(".bams3"), tmp_path / "d.bams3"))
    http = client(dataset)
    given = [ticket_of(http, "d", query) for query in ("", "fields=POS")]
    convert(small, dataset, overwrite=True, chunk_size="512K")
    for ticket in given:
        answer = http.get(next(part["url"] for part in ticket["urls"] if part["url"].startswith("http")))
        assert (answer.status_code, answer.json()["htsget"]["error"]) == (404, "NotFound")
