"""The access that a request has, according to the bearer token in its header (RFC 6750)."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from bams3.bridge.access import EVERYONE, Grant, Tokens
from bams3.bridge.htsget import HtsgetError
from bams3.bridge.library import Library, Served


class Access:
    """What clients may see. `tokens` is None if everyone may see everything."""

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    def grant(self, request: Request) -> Grant:
        """Return the grant of a request, and note its user for the log. Blocks. Raises HtsgetError."""
        if self._tokens is None:
            return EVERYONE
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise HtsgetError("PermissionDenied", "a token is needed: Authorization: Bearer TOKEN")
        found = self._tokens.grant(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise HtsgetError("InvalidAuthentication", "unknown token")
        request.scope["user"] = found.user
        return found

    def at_hand(self, library: Library, name: str) -> Served | None:
        """Return a dataset, if everyone may see everything and if no waiting is needed; otherwise None."""
        return library.at_hand(name) if self._tokens is None else None

    def whole(self, request: Request, library: Library, name: str) -> Served:
        """Return a dataset of which a request may see everything. Blocks. Raises HtsgetError, HTTPException, and the
        errors of opening a dataset."""
        grant = self.grant(request)
        try:
            if not grant.allows(name):
                raise KeyError(name)
            served = library.get(name)
        except KeyError:
            raise HTTPException(404, "no such dataset") from None
        if not grant.is_whole:
            raise HtsgetError(
                "PermissionDenied", "the token grants only some regions; request them from /reads"
            )
        return served

    def still(self, request: Request, id: str) -> Grant:
        """Return the grant with an id if it is still valid, and note its user. Blocks. Raises HtsgetError."""
        granted = [EVERYONE] if self._tokens is None else self._tokens.grants().values()
        for grant in granted:
            if grant.id == id:
                request.scope["user"] = grant.user
                return grant
        raise HtsgetError("PermissionDenied", "what the token grants has changed; get a new ticket")
