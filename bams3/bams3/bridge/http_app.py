"""The application that a server runs: datasets as files, over HTTP."""

from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bams3._version import __version__
from bams3.bridge.htsget import HtsgetError
from bams3.bridge.http_content import Work, answer
from bams3.bridge.http_htsget import Htsget, error_response
from bams3.bridge.http_log import Log
from bams3.bridge.http_page import Page
from bams3.bridge.library import Content, Library
from bams3.errors import UsageError

_HERE = ["localhost", "127.0.0.1", "::1", "[::1]"]
_ORIGIN_HERE = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_MONTH = 30 * 24 * 3600


def application(library: Library, workers: int, *, for_all: bool) -> ASGIApp:
    """Return the ASGI application that serves the datasets of a library. `workers`: threads that decode for htsget
    and for the page.

    Unless it is `for_all`, it answers only requests that were addressed to this machine, and only to web pages of this
    machine: otherwise any page that a user visits could read the datasets.
    """
    work = Work(workers)
    files, htsget, page = Files(library, work), Htsget(library, work), Page(library, work, workers)
    guards = [] if for_all else [Middleware(TrustedHostMiddleware, allowed_hosts=_HERE, www_redirect=False)]
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origin_regex="(?s:.*)" if for_all else _ORIGIN_HERE,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["*"],
        expose_headers=["Accept-Ranges", "Content-Length", "Content-Range", "ETag"],
        max_age=_MONTH,
    )
    routes = [
        Route("/health", files.health),
        Route("/bam/{file}", files.file),
        Route("/reads/service-info", htsget.service_info),
        Route("/reads/{name}", htsget.ticket, methods=["GET", "POST"]),
        Route("/blocks/{name}", htsget.block),
        *page.routes(),
    ]
    answers = {500: unreadable, HtsgetError: error_response}
    app = Starlette(routes=routes, middleware=[*guards, cross_origin], exception_handlers=answers)
    return Log(app)


def unreadable(request: Request, error: Exception) -> Response:
    """Answer where reading failed. The reason, which has paths, is for the log."""
    status = 503 if isinstance(error, OSError) else 500
    return PlainTextResponse("what was asked for can't be read; the server's log says why\n", status)


class Files:
    """BAM files and their indexes."""

    def __init__(self, library: Library, work: Work) -> None:
        self._library, self._work = library, work

    async def health(self, request: Request) -> Response:
        """Answer that the server lives."""
        names = await self._work.do(self._library.names)
        return JSONResponse({"status": "ok", "version": __version__, "datasets": len(names)})

    async def file(self, request: Request) -> Response:
        """Answer with NAME.bam, NAME.bam.bai or NAME.bam.csi."""
        content = await self._work.do(partial(self._content, request.path_params["file"]))
        return await answer(request, content, "application/octet-stream", self._work)

    def _content(self, file: str) -> Content:
        name, _, kind = file.rpartition(".")
        if kind in ("bai", "csi"):
            name = name.removesuffix(".bam") if name.endswith(".bam") else ""
        try:
            if kind not in ("bam", "bai", "csi"):
                raise KeyError(file)
            return self._library.get(name).content(kind)
        except (KeyError, UsageError):
            raise HTTPException(404, "no such file") from None
