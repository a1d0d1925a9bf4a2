"""Comparison of paths and URIs: whether two of them, however they are written, name the same place."""

import os
from collections.abc import Iterable

from bams3.chunk.reader import contig_in
from bams3.errors import UsageError
from bams3.storage import is_remote, open_storage
from bams3.storage.memory import is_stream


def resolved(name: str) -> str:
    """Return a path or URI in normal form: without symbolic links and redundant slashes."""
    return open_storage(name).root if is_remote(name) else os.path.realpath(name.removeprefix("file://"))


def same_place(name: str, other: str) -> bool:
    """Tell whether two paths or URIs may name the same file or dataset, also if one is the web address of an object."""
    if is_remote(name) != is_remote(other):
        return False
    ours, theirs = resolved(name), resolved(other)
    return ours == theirs or _is_web_address(ours, theirs) or _is_web_address(theirs, ours)


def lies_in(name: str, dataset: str) -> bool:
    """Tell whether a path or URI names a dataset, or something in it, such as a chunk."""
    path = contig_in(name)[0]
    if not is_remote(path) and is_stream(path):
        return False
    return same_place(path, dataset) or resolved(path).startswith(f"{resolved(dataset)}/")


def refuse_in_place(given: Iterable[str], out: str) -> None:
    """Raise UsageError if the path of the new dataset is that of an input, or lies in one, or contains one."""
    for name in given:
        path = contig_in(name)[0]
        if same_place(path, out):
            raise UsageError(
                f"{out}: this is the input, which can't be rewritten in place, because it is needed until the new "
                "dataset is complete; write to another path"
            )
        if lies_in(out, path) or lies_in(path, out):
            what = "it lies in" if lies_in(out, path) else "it holds"
            raise UsageError(f"{out}: {what} {name}, which is an input; write to another path")


def _is_web_address(address: str, uri: str) -> bool:
    """Tell whether a web address may belong to the object that an s3:// or gs:// URI names."""
    scheme, _, place = uri.partition("://")
    if scheme not in ("s3", "gs") or not address.startswith(("http://", "https://")):
        return False
    from urllib.parse import unquote, urlsplit

    bucket, _, prefix = place.partition("/")
    url = urlsplit(address)
    path = unquote(url.path).lstrip("/")
    return path == f"{bucket}/{prefix}" or (url.netloc.startswith(f"{bucket}.") and path == prefix)
