"""Whether two paths or URIs, however they are written, name the same place."""

import os
from collections.abc import Iterable

from bams3.chunk.reader import contig_in
from bams3.errors import UsageError
from bams3.storage import is_remote, open_storage
from bams3.storage.memory import is_stream


def resolved(name: str) -> str:
    """A path or URI in its plain form: without links, and without slashes that change nothing."""
    return open_storage(name).root if is_remote(name) else os.path.realpath(name.removeprefix("file://"))


def same_place(name: str, other: str) -> bool:
    """Whether two paths or URIs name the same file or dataset; a web address may be that of an s3:// or gs:// URI."""
    if is_remote(name) != is_remote(other):
        return False
    ours, theirs = resolved(name), resolved(other)
    return ours == theirs or _is_web_address(ours, theirs) or _is_web_address(theirs, ours)


def refuse_in_place(given: Iterable[str], out: str) -> None:
    """Raise UsageError if the new dataset would be an input, or lie in it, or hold it."""
    for name in given:
        path = contig_in(name)[0]
        if not is_remote(path) and is_stream(path):
            continue
        if same_place(path, out):
            raise UsageError(
                f"{out}: this is the input, which can't be rewritten in place, because it is needed until the new "
                "dataset is complete; write to another path"
            )
        ours, theirs = f"{resolved(out)}/", f"{resolved(path)}/"
        if ours.startswith(theirs) or theirs.startswith(ours):
            what = "it lies in" if ours.startswith(theirs) else "it holds"
            raise UsageError(f"{out}: {what} {name}, which is an input; write to another path")


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
