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
from starlette.types import ASGIApp, Receive, Scope, Send

from bams3._version import __version__
from bams3.bridge.access import Tokens
from bams3.bridge.htsget import HtsgetError
from bams3.bridge.http_access import Access
from bams3.bridge.http_content import Work, answer
from bams3.bridge.http_htsget import Htsget, error_response
from bams3.bridge.http_log import Log
from bams3.bridge.http_page import Page
from bams3.bridge.library import Content, Library
from bams3.errors import UsageError

_HERE = ["localhost", "127.0.0.1", "::1", "[::1]"]
_ORIGIN_HERE = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_MONTH = 30 * 24 * 3600


def application(
    library: Library, workers: int, *, for_all: bool = False, tokens: Tokens | None = None
) -> ASGIApp:
    """Return the ASGI application that serves the datasets of a library.

    `workers` is the number of threads that decode for htsget and for the page. Clients see what their `tokens` grant.
    Without tokens, and unless `for_all`, the application answers only requests that were addressed to this machine, and
    lets only web pages of this machine read the answers; otherwise, any page that a user visits could read the
    datasets.
    """
    work = Work(workers)
    access = Access(tokens)
    files, htsget = Files(library, access, work), Htsget(library, access, work)
    page = Page(library, access, work, workers)
    for_all = for_all or tokens is not None
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
        Route("/bigwig/{file}", files.bigwig),
        Route("/reads/service-info", htsget.service_info),
        Route("/reads/{name}", htsget.ticket, methods=["GET", "POST"]),
        Route("/blocks/{name}", htsget.block),
        *page.routes(),
    ]
    answers = {500: unreadable, HtsgetError: error_response}
    framed = Middleware(Framed)
    app = Starlette(routes=routes, middleware=[framed, *guards, cross_origin], exception_handlers=answers)
    return Log(app)


class Framed:
    """Refuses requests that have both Content-Length and Transfer-Encoding: a proxy could take for their body what
    would be a second request here (request smuggling)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 400 and close the connection, or pass the request on."""
        names = {name for name, _ in scope.get("headers", ())}
        app: ASGIApp = self._app
        if {b"content-length", b"transfer-encoding"} <= names:
            app = PlainTextResponse(
                "the request gives the length of its body twice\n", 400, {"connection": "close"}
            )
        await app(scope, receive, send)


def unreadable(request: Request, error: Exception) -> Response:
    """Answer a request for which reading failed. The reason may contain paths, so it is only in the log."""
    status = 503 if isinstance(error, OSError) else 500
    return PlainTextResponse("the data can't be read; the server's log says why\n", status)


class Files:
    """BAM files and their indexes, and bigWig files."""

    def __init__(self, library: Library, access: Access, work: Work) -> None:
        self._library, self._access, self._work = library, access, work

    async def health(self, request: Request) -> Response:
        """Answer that the server is running."""
        names = await self._work.do(self._library.names)
        return JSONResponse({"status": "ok", "version": __version__, "datasets": len(names)})

    async def file(self, request: Request) -> Response:
        """Answer with NAME.bam, NAME.bam.bai or NAME.bam.csi."""
        name, kind = _name_and_kind(request.path_params["file"])
        served = self._access.at_hand(self._library, name)
        content = served.contents.get(kind) if served else None
        if content is None:
            content = await self._work.do(partial(self._content, request, name, kind))
        return await answer(request, content, "application/octet-stream", self._work)

    async def bigwig(self, request: Request) -> Response:
        """Answer with NAME.bw."""
        content = await self._work.do(partial(self._bigwig, request))
        return await answer(request, content, "application/octet-stream", self._work)

    def _bigwig(self, request: Request) -> Content:
        name, _, kind = request.path_params["file"].rpartition(".")
        served = self._access.whole(request, self._library, name if kind == "bw" else "")
        content = self._library.bigwig(served.name)
        if content is None:
            raise HTTPException(404, "no such file")
        return content

    def _content(self, request: Request, name: str, kind: str) -> Content:
        try:
            return self._access.whole(request, self._library, name).content(kind)
        except UsageError:
            raise HTTPException(404, "no such file") from None


def _name_and_kind(file: str) -> tuple[str, str]:
    """The dataset of a file ("" if the name is not that of a file of a dataset), and its kind: "bam", "bai" or
    "csi"."""
    name, _, kind = file.rpartition(".")
    if kind in ("bai", "csi"):
        return name.removesuffix(".bam") if name.endswith(".bam") else "", kind
    return name if kind == "bam" else "", kind
