"""Whether two paths or URIs, however they are written, name the same place."""

import os

from bams3.storage import is_remote, open_storage


def resolved(name: str) -> str:
    """A path or URI in its plain form: without links, and without slashes that change nothing."""
    return open_storage(name).root if is_remote(name) else os.path.realpath(name.removeprefix("file://"))


def same_place(name: str, other: str) -> bool:
    """Whether two paths or URIs name the same file or dataset; a web address may be that of an s3:// or gs:// URI."""
    if is_remote(name) != is_remote(other):
        return False
    ours, theirs = resolved(name), resolved(other)
    return ours == theirs or _is_web_address(ours, theirs) or _is_web_address(theirs, ours)


def _is_web_address(address: str, uri: str) -> bool:
    """Whether a web address may be that of an s3:// or gs:// URI."""
    scheme, _, place = uri.partition("://")
    if scheme not in ("s3", "gs") or not address.startswith(("http://", "https://")):
        return False
    from urllib.parse import unquote, urlsplit

    bucket, _, prefix = place.partition("/")
    url = urlsplit(address)
    path = unquote(url.path).lstrip("/")
    return path == f"{bucket}/{prefix}" or (url.netloc.startswith(f"{bucket}.") and path == prefix)
