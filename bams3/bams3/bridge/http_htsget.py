"""htsget over HTTP: tickets, and the blocks that they name."""

import base64
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio
from starlette.requests import Request
from starlette.responses import Response

from bams3._version import __version__
from bams3.bam.regions import Region
from bams3.bridge import htsget, selection
from bams3.bridge.access import Grant
from bams3.bridge.htsget import HtsgetError, Query
from bams3.bridge.http_access import Access
from bams3.bridge.http_content import Portion, Streamed, Work, answer, begun
from bams3.bridge.library import Library, Served
from bams3.bridge.selection import Bytes, ChunkRecords, Cut, Part
from bams3.bridge.tickets import Signer
from bams3.select.projection import Projection
from bams3.sources.bgzf import EOF_MARKER

INLINE = 64 << 10  # bytes; smaller blocks are included in the ticket itself
LARGEST_BODY = 1 << 20
PATIENCE = 30.0  # seconds that the body of a request may take
MEDIA_TYPE = "application/vnd.ga4gh.bam"
_STEP = 1 << 20
_ACCEPTED = re.compile(r"application/vnd\.ga4gh\.htsget\.(v1\.\d+\.\d+)\+json")


def error_response(request: Request, error: Exception) -> Response:
    """Answer with an error as htsget specifies it."""
    assert isinstance(error, HtsgetError)
    told = {"error": error.kind, "message": str(error)}
    status = htsget.STATUSES[error.kind]
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return Response(_json({"htsget": told}), status, headers, "application/json")


class Htsget:
    """The endpoints of htsget for the datasets of a library."""

    def __init__(self, library: Library, access: Access, work: Work) -> None:
        self._library, self._access, self._work, self._signer = library, access, work, Signer()

    async def service_info(self, request: Request) -> Response:
        """Answer what this server can do."""
        base = str(request.base_url)
        said = {
            "id": "bams3.htsget", "name": "bams3 serve", "version": __version__,
            "description": "Reads of bams3 datasets as BAM",
            "organization": {"name": request.base_url.hostname, "url": base},
            "type": {"group": "org.ga4gh", "artifact": "htsget", "version": htsget.VERSION},
            "htsget": {
                "datatype": "reads", "formats": ["BAM"],
                "fieldsParameterEffective": True, "tagsParametersEffective": True,
            },
        }  # fmt: skip
        return Response(_json(said), media_type="application/json")

    async def ticket(self, request: Request) -> Response:
        """Answer a GET or POST request with a ticket."""
        if request.method == "POST":
            grant = await self._work.do(partial(self._access.grant, request))
            if request.url.query:
                raise HtsgetError("InvalidInput", "a POST request must not have parameters in its URL")
            said = await self._work.do(partial(self._ticket_of_body, request, await _body(request), grant))
        else:
            said = await self._work.do(partial(self._ticket_of_url, request))
        accepted = _ACCEPTED.search(request.headers.get("accept", ""))
        version = accepted[1] if accepted else f"v{htsget.VERSION}"
        return Response(
            said, headers={"content-type": f"application/vnd.ga4gh.htsget.{version}+json; charset=utf-8"}
        )

    def _ticket_of_url(self, request: Request) -> bytes:
        grant = self._access.grant(request)
        return self._ticket(request, htsget.of_url(request.query_params.multi_items()), grant)

    def _ticket_of_body(self, request: Request, body: bytes, grant: Grant) -> bytes:
        return self._ticket(request, htsget.of_body(body), grant)

    def _ticket(self, request: Request, query: Query, grant: Grant) -> bytes:
        base = str(request.base_url)
        served = self._served(request.path_params["name"], grant)
        header = len(served.bam.header)
        if header <= INLINE:
            urls = [_inline(served.bam.header, "header")]
        else:
            urls = [self._url(served, Bytes(0, header), grant, "header", base)]
        ticket: dict[str, Any] = {"format": "BAM", "urls": urls}
        if not query.only_header:
            references = served.dataset.references
            regions, visible = query.regions(references), grant.places(references)
            parts = _parts(served, regions, visible, query.projection)
            urls += [self._url(served, part, grant, "body", base) for part in parts]
            if visible is not None:
                ticket["restrictedTo"] = _named(visible, regions, references)
        urls.append(_inline(EOF_MARKER, "body"))
        return _json({"htsget": ticket})

    def _url(self, served: Served, part: Part, grant: Grant, kind: str, base: str) -> dict[str, Any]:
        text = self._signer.sign([served.bam.etag, grant.id, *part])
        return {
            "url": f"{base}blocks/{quote(served.name, safe='')}?ticket={text}",
            "headers": {},
            "class": kind,
        }

    async def block(self, request: Request) -> Response:
        """Answer with a block that a ticket names."""
        signed = self._signer.value(request.query_params.get("ticket", ""))
        if signed is None:
            raise HtsgetError(
                "PermissionDenied",
                "this URL is not from a ticket, or the ticket has expired; get a new ticket",
            )
        etag, granted, *part = signed
        name = request.path_params["name"]
        served = self._access.at_hand(self._library, name)
        if served is None:
            served = await self._work.do(partial(self._granted, request, granted, name))
        if etag != served.bam.etag:
            raise HtsgetError("NotFound", "the dataset has been replaced; get a new ticket")
        if len(part) == len(Bytes._fields):
            return await answer(request, selection.content_of(served, Bytes(*part)), MEDIA_TYPE, self._work)
        if request.method == "HEAD":
            found = Response(media_type=MEDIA_TYPE)
            del found.headers["content-length"]  # that of the records is not known before they are cut out
            return found
        user = request.scope.get("user")
        if len(part) == len(Cut._fields):
            numbers, regions, visible = part
            cut = Cut(numbers, _regions(regions) or [], _regions(visible))
            portions = self._portions(
                partial(selection.cut_out, served, cut), partial(self._work.do, user=user), len(numbers)
            )
        else:
            first, last, regions, visible, projection = part
            chosen = ChunkRecords(first, last, _regions(regions), _regions(visible), Projection(*projection))
            portions = self._portions(
                partial(selection.decoded, served, chosen), partial(self._work.decode, user=user)
            )
        body = await begun(portions)
        return Streamed(body, headers={"cache-control": "private, no-store"}, media_type=MEDIA_TYPE)

    async def _portions(
        self, make: Callable[[], Iterator[bytes]], run: Any, most: int | None = None
    ) -> AsyncIterator[Portion]:
        """Yield the portions of an iterator. `run` runs a function in a thread; `most` is the largest number of items,
        if that is known."""
        portions: Any = make()
        try:
            for _ in itertools.repeat(None) if most is None else range(most):
                portion = await run(partial(next, portions, None))
                if portion is None:
                    break
                view = memoryview(portion)
                for at in range(0, len(view), _STEP):
                    yield view[at : at + _STEP]
        finally:
            portions.close()

    def _granted(self, request: Request, granted: str, name: str) -> Served:
        return self._served(name, self._access.still(request, granted))

    def _served(self, name: str, grant: Grant) -> Served:
        try:
            if grant.allows(name):
                return self._library.get(name)
        except KeyError:
            pass
        raise HtsgetError("NotFound", "no such dataset")


def _parts(
    served: Served, regions: Sequence[Region] | None, visible: Sequence[Region] | None, projection: Projection
) -> Iterator[Part]:
    if regions is None:
        regions, visible = visible, None
    if not projection.is_whole:
        return selection.records(served, regions, visible, projection)
    if regions is None:
        return selection.everything(served)
    return selection.whole_records(served, regions, visible)


def _regions(given: Any) -> list[Region] | None:
    return None if given is None else [Region(*region) for region in given]


def _named(
    visible: Sequence[Region], regions: Sequence[Region] | None, references: Sequence[tuple[str, int]]
) -> list[dict[str, Any]]:
    """The regions to which an answer is restricted, as the client is told: only those on contigs that it requested."""
    asked = {region.reference_id for region in (visible if regions is None else regions)}
    found: list[dict[str, Any]] = []
    for number, start, end in visible:
        if number in asked and number < 0:
            found.append({"referenceName": "*"})
        elif number in asked:
            found.append({"referenceName": references[number][0], "start": max(start, 0), "end": end})
    return found


def _inline(data: bytes, kind: str) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"url": f"data:{MEDIA_TYPE};base64,{text}", "headers": {}, "class": kind}


async def _body(request: Request) -> bytes:
    body = b""
    with anyio.move_on_after(PATIENCE):
        async for portion in request.stream():
            body += portion
            if len(body) > LARGEST_BODY:
                raise HtsgetError("PayloadTooLarge", f"the body may have at most {LARGEST_BODY} bytes")
        return body
    raise HtsgetError("InvalidInput", f"the body took longer than {PATIENCE:.0f} s")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()
