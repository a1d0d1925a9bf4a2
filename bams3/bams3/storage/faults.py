"""Failures of requests to object stores, and the messages for them.

obstore reports the store's response as text: "… non-2xx status code: 503 Service Unavailable: <Error>…". The status,
and the code and message of the store, are extracted from it and shown without secrets.
"""

import errno
import re

from bams3.shown import shown
from bams3.storage.environment import NO_SIGN_REQUEST

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
_REGION = re.compile(r"<Region>([a-z0-9-]{1,40})</Region>")
_PROVIDER = re.compile(r"credential provider: (.{1,300})")
_CAUSE = re.compile(r'(?:message|error): "([^"]{1,100})"')
# Incomplete responses. If two writers write at the same time, Swift's response to one of them has no ETag.
_BROKEN = re.compile(r"HTTP error|body error|Got invalid|Requested \d+\.\.\d+, got|ETag Header missing")

REDIRECTIONS = frozenset({301, 307, 308})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
SLOW_DOWN = frozenset({429, 503})
PASSING_CODES = frozenset(
    {"RequestTimeout", "SlowDown", "InternalError", "ConditionalRequestConflict", "OperationAborted"}
)
RENEWED_CODES = frozenset({"ExpiredToken", "TokenRefreshRequired"})
KEY_CODES = frozenset({"InvalidToken", "InvalidAccessKeyId", "InvalidSecurity"})
REGION_CODES = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


class RequestError(Exception):
    """The reason why a request failed.

    Attributes
    ----------
    status
        HTTP status; None without a complete response.
    kind
        A word for the log.
    said
        The code and the message of the store.
    passing
        Whether another attempt may succeed.
    region
        The bucket's region if the request went to the wrong one ("" if the store did not name it), else None.
    lost
        Whether an attempt may have had its effect although it failed.
    """

    def __init__(
        self, kind: str, said: str, *, status: int | None = None, code: str = "", passing: bool = False
    ) -> None:
        said = shown(said)
        super().__init__(said)
        self.kind, self.said, self.status, self.code, self.passing = kind, said, status, code, passing
        self.slow_down = status in SLOW_DOWN or code == "SlowDown"
        self.region: str | None = None
        self.attempts, self.lost = 1, False

    @classmethod
    def of(cls, error: Exception) -> "RequestError":
        """Convert an exception of obstore. Other exceptions are raised unchanged."""
        from obstore.exceptions import BaseError

        if isinstance(error, RequestError):
            return error
        if not isinstance(error, BaseError | OSError | ValueError | NotImplementedError):
            raise error
        text, _, details = str(error).partition("\n\nDebug source:")
        if match := _STATUS.search(text):
            return cls._of_answer(int(match[1]), text)
        if "error response:" in text:  # an error within a response of status 200
            return cls._of_answer(200, text)
        if "redirect without LOCATION" in text:
            return cls._of_answer(301, text)
        if "non-partial response" in text:
            return cls("whole", "the server answers range requests with the whole object", status=200)
        if "credential" in text:
            cause = "".join(_PROVIDER.findall(text)[:1])
            found = ": ".join(filter(None, ["no valid credentials were found", cause]))
            return cls("credentials", found, status=401)
        if "TimedOut" in details or "timed out" in text:
            return cls("timeout", "no answer in time", passing=True)
        if _BROKEN.search(text):
            causes = _CAUSE.findall(details)
            return cls("broken", causes[-1] if causes else text.rpartition(": ")[2], passing=True)
        return cls("failure", next(iter(text.splitlines()), "") or "unknown failure")

    @classmethod
    def _of_answer(cls, status: int, text: str) -> "RequestError":
        code, message, region = (
            match[1] if (match := part.search(text)) else "" for part in (_CODE, _MESSAGE, _REGION)
        )
        said = ": ".join(filter(None, [f"{status} {code}".strip(), message.rstrip(".")]))
        passing = status in PASSING or code in PASSING_CODES
        error = cls("answer", said, status=status, code=code, passing=passing)
        if status in REDIRECTIONS or code in REGION_CODES:
            error.region = region
        return error

    def error(self, name: str) -> OSError:
        """Return the exception that callers of a `Storage` get; `name` is the object's URI, without secrets."""
        if self.code == "NoSuchBucket":  # more than a missing object
            return OSError(
                errno.ENODEV, f"no such bucket ({self.said}); check its name and the endpoint", name
            )
        if self.status == 404:
            return FileNotFoundError(errno.ENOENT, "no such object", name)
        if "SSO" in self.said or "expired" in self.said.lower() or self.code in RENEWED_CODES:
            what = (
                f"access refused ({self.said}); log in again (with single sign-on: aws sso login), "
                "or set new credentials"
            )
            return PermissionError(errno.EACCES, what, name)
        if self.code == "RequestTimeTooSkewed":
            return PermissionError(
                errno.EACCES, f"access refused ({self.said}); set this machine's clock", name
            )
        if self.status in (401, 403) or self.code in KEY_CODES:
            what = (
                f"access refused ({self.said or self.status}); check the credentials and their permissions, "
                f"or read a public bucket with {NO_SIGN_REQUEST}=1"
            )
            return PermissionError(errno.EACCES, what, name)
        if self.region is not None:
            what = f"the bucket is in another region ({self.said}); set AWS_REGION"
            return OSError(errno.EREMOTE, what, name)
        if self.kind == "whole":
            what = "the server ignores range requests (200 instead of 206); use another server, or copy the dataset"
            return OSError(errno.ENOTSUP, what, name)
        tried = f", {self.attempts} attempts" if self.attempts > 1 else ""
        advice = "; try again later" if self.passing else ""
        return OSError(errno.EIO, f"the store failed ({self.said}{tried}){advice}", name)


def replaced(name: str) -> OSError:
    """Return the error for an object that has changed since it was first read."""
    return OSError(errno.ESTALE, "the object was replaced while it was read; open it again", name)
