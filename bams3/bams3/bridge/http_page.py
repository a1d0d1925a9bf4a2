"""A page that shows datasets in a browser, and the data that it requests: contents of datasets, depth of contigs."""

import json
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bams3.bridge.http_access import Access
from bams3.bridge.http_content import Streamed, Work, begun
from bams3.bridge.library import Library, Served
from bams3.bridge.track import bin_size, depth_track
from bams3.parallel.workers import Workers

BINS = 4096
"""The most bins of a contig in one request."""
_FOLDER = files("bams3.bridge") / "page"
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'"
)
"""The page loads nothing from other servers. Inline styles are allowed, because igv.js adds some."""


class Page:
    """The page, and the data that it requests."""

    def __init__(self, library: Library, access: Access, work: Work, workers: int) -> None:
        """`workers` is the number of threads that measure depth, for all requests together."""
        self._library, self._access, self._work, self._workers = library, access, work, Workers(workers)

    def routes(self) -> list[BaseRoute]:
        """The routes of the page and its data."""
        return [
            Route("/", self.index),
            Route("/datasets", self.names),
            Route("/datasets/{name}", self.dataset),
            Route("/datasets/{name}/depth", self.depth),
            Mount("/page", StaticFiles(directory=str(_FOLDER))),
        ]

    async def index(self, request: Request) -> Response:
        """Answer with the page."""
        headers = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
        return Response((_FOLDER / "index.html").read_bytes(), media_type="text/html", headers=headers)

    async def names(self, request: Request) -> Response:
        """Answer with the names of the datasets that the client may see."""
        return _json(await self._work.do(partial(self._names, request)))

    def _names(self, request: Request) -> list[str]:
        grant = self._access.grant(request)
        return [name for name in self._library.names() if grant.allows(name)]

    async def dataset(self, request: Request) -> Response:
        """Answer with a description of a dataset."""
        return _json(await self._work.do(partial(self._dataset, request)))

    def _dataset(self, request: Request) -> dict[str, Any]:
        served = self._whole(request)
        return _holds(served) | {"bigwig": self._library.bigwig(served.name) is not None}

    async def depth(self, request: Request) -> Response:
        """Answer with the mean depths of a contig in at most `bins` bins, as lines of JSON. The first line has the size
        of a bin in bp; each of the others has the 0-based start of the first of some bins, and their depths."""
        served = await self._served(request)
        names = [name for name, _ in served.dataset.references]
        try:
            reference_id = names.index(request.query_params["contig"])
            size = bin_size(served.dataset.references[reference_id][1], _bins(request))
        except (KeyError, ValueError):
            raise HTTPException(
                400, f"give a contig of the dataset, and a number of bins from 1 to {BINS}"
            ) from None
        lines = await begun(self._lines(served, reference_id, size, request.scope.get("user")))
        return Streamed(lines, media_type="application/x-ndjson")

    async def _lines(
        self, served: Served, reference_id: int, size: int, user: str | None
    ) -> AsyncIterator[bytes]:
        yield b"%d\n" % size
        with closing(depth_track(served.dataset, reference_id, size, self._workers)) as track:
            while (bins := await self._work.do(partial(next, track, None), user)) is not None:
                means = [round(mean, 2) for mean in bins.means]
                yield json.dumps([bins.start, means], separators=(",", ":")).encode() + b"\n"

    async def _served(self, request: Request) -> Served:
        return await self._work.do(partial(self._whole, request))

    def _whole(self, request: Request) -> Served:
        return self._access.whole(request, self._library, request.path_params["name"])


def _json(value: Any) -> Response:
    """A JSON response in ASCII: a name that is not UTF-8 could not be encoded otherwise."""
    return Response(json.dumps(value, separators=(",", ":")), media_type="application/json")


def _bins(request: Request) -> int:
    bins = int(request.query_params.get("bins", "1000"))
    if not 1 <= bins <= BINS:
        raise ValueError
    return bins


def _holds(served: Served) -> dict[str, Any]:
    dataset = served.dataset
    counts = dataset.manifest.counts.by_reference
    return {
        "name": served.name,
        "records": dataset.manifest.records,
        "unplaced": sum(counts.get(-1, ())),
        "contigs": [
            [name, length, *counts.get(number, (0, 0))]
            for number, (name, length) in enumerate(dataset.references)
        ],
    }
