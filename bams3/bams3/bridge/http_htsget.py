"""htsget over HTTP: tickets, and the blocks that they name."""

import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bams3._version import __version__
from bams3.bam.regions import Region
from bams3.bridge import htsget, selection
from bams3.bridge.htsget import HtsgetError, Query
from bams3.bridge.http_content import Piece, Work, answer, begun
from bams3.bridge.library import Library, Served
from bams3.bridge.selection import Bytes, Records
from bams3.bridge.tickets import Signer
from bams3.select.projection import Projection
from bams3.sources.bgzf import EOF_MARKER

INLINE = 64 << 10  # bytes of a block that stands in the ticket itself
LARGEST_BODY = 1 << 20
MEDIA_TYPE = "application/vnd.ga4gh.bam"
_STEP = 1 << 20
_ACCEPTED = re.compile(r"application/vnd\.ga4gh\.htsget\.(v1\.\d+\.\d+)\+json")


def error_response(request: Request, error: Exception) -> Response:
    """Answer with an error of the specification."""
    assert isinstance(error, HtsgetError)
    told = {"error": error.kind, "message": str(error)}
    return Response(_json({"htsget": told}), htsget.STATUSES[error.kind], media_type="application/json")


class Htsget:
    """The endpoints of htsget for the datasets of a library."""

    def __init__(self, library: Library, work: Work) -> None:
        self._library, self._work, self._signer = library, work, Signer()

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
            if request.url.query:
                raise HtsgetError("InvalidInput", "a POST request has no parameters in its URL")
            query = htsget.of_body(await _body(request))
        else:
            query = htsget.of_url(request.query_params.multi_items())
        name, base = request.path_params["name"], str(request.base_url)
        said = await self._work.do(partial(self._ticket, name, query, base))
        accepted = _ACCEPTED.search(request.headers.get("accept", ""))
        version = accepted[1] if accepted else f"v{htsget.VERSION}"
        return Response(
            said, headers={"content-type": f"application/vnd.ga4gh.htsget.{version}+json; charset=utf-8"}
        )

    def _ticket(self, name: str, query: Query, base: str) -> bytes:
        served = self._served(name)
        header = len(served.bam.header)
        if header <= INLINE:
            urls = [_inline(served.bam.header, "header")]
        else:
            urls = [self._url(served, Bytes(0, header), "header", base)]
        if not query.only_header:
            parts = _parts(served, query, query.regions(served.dataset.references))
            urls += [self._url(served, part, "body", base) for part in parts]
        return _json({"htsget": {"format": "BAM", "urls": [*urls, _inline(EOF_MARKER, "body")]}})

    def _url(self, served: Served, part: Bytes | Records, kind: str, base: str) -> dict[str, Any]:
        text = self._signer.sign([served.bam.etag, *part])
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
                "PermissionDenied", "the URL is not of a ticket, or has expired; get a new ticket"
            )
        served = await self._work.do(partial(self._served, request.path_params["name"]))
        etag, *part = signed
        if etag != served.bam.etag:
            raise HtsgetError("NotFound", "the dataset has been replaced; get a new ticket")
        if len(part) == 2:
            return await answer(request, selection.content_of(served, Bytes(*part)), MEDIA_TYPE, self._work)
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        first, last, regions, projection = part
        places = None if regions is None else [Region(*region) for region in regions]
        chosen = Records(first, last, places, Projection(*projection))
        body = await begun(self._pieces(partial(selection.pieces_of, served, chosen)))
        return StreamingResponse(body, headers={"cache-control": "private, no-store"}, media_type=MEDIA_TYPE)

    async def _pieces(self, make: Callable[[], Iterator[bytes]]) -> AsyncIterator[Piece]:
        pieces: Any = make()
        try:
            while (piece := await self._work.decode(partial(next, pieces, None))) is not None:
                view = memoryview(piece)
                for at in range(0, len(view), _STEP):
                    yield view[at : at + _STEP]
        finally:
            pieces.close()

    def _served(self, name: str) -> Served:
        try:
            return self._library.get(name)
        except KeyError:
            raise HtsgetError("NotFound", "no such dataset") from None


def _parts(served: Served, query: Query, regions: Sequence[Region] | None) -> Iterator[Bytes | Records]:
    if query.projection.is_whole:
        return selection.row_groups(served, regions)
    return selection.records(served, regions, query.projection)


def _inline(data: bytes, kind: str) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"url": f"data:{MEDIA_TYPE};base64,{text}", "headers": {}, "class": kind}


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise HtsgetError("PayloadTooLarge", f"the body may have {LARGEST_BODY} bytes")
    return body


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()
