"""Storage of objects in S3, Google Cloud Storage, or on a web server (read-only), by means of obstore."""

import errno
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from bams3.errors import UsageError
from bams3.storage import LARGEST
from bams3.storage import ranges as many
from bams3.storage.connect import connect
from bams3.storage.faults import RequestError, replaced
from bams3.storage.multipart import Upload
from bams3.storage.requests import perform

Result = TypeVar("Result")

PAGE = 1000  # number of objects per request that lists or deletes

Identity = tuple[str, int]
"""What identifies a version of an object: its ETag (or else its modification time), and its length."""


class RemoteStorage:
    """`Storage` at a URI s3://bucket/prefix, gs://bucket/prefix or http(s)://host/prefix.

    The ETag and length of an object are recorded when it is first read, and again whenever it is read as a whole.
    Reading a range raises OSError if the object has been replaced since then, unless this storage wrote or deleted it.
    """

    def __init__(self, uri: str) -> None:
        scheme, _, rest = uri.partition("://")
        if scheme in ("http", "https"):
            try:
                url = urlsplit(uri)
            except ValueError as error:
                raise UsageError(f"{scheme}://: not a URL ({error})") from None
            host = url.netloc.rpartition("@")[2]
            place, prefix = (
                f"{scheme}://{url.netloc}{'?' + url.query if url.query else ''}",
                unquote(url.path),
            )
            self._shown = f"{scheme}://{host}/"
        else:
            place, _, prefix = rest.partition("/")
            self._shown = f"{scheme}://{place}/"
            if {"@", ":"} & set(place):
                raise UsageError(
                    f"{uri}: credentials in a URI are refused, as others could see them; give {scheme}://bucket/path, "
                    "and set credentials in the environment or a profile (docs/object-storage.md)"
                )
            if place and not re.fullmatch("[A-Za-z0-9._-]+", place):
                raise UsageError(f"{uri}: a bucket's name may only contain letters, digits, '.', '_' and '-'")
        if not place or not self._shown.removesuffix("/").partition("://")[2]:
            raise UsageError(
                f"{uri}: give {scheme}://bucket/path" if scheme in ("s3", "gs") else f"{scheme}://: not a URL"
            )
        self._prefix = prefix.strip("/")
        if any(part in ("", ".", "..") for part in self._prefix.split("/")) and self._prefix:
            raise UsageError(
                f"{self._shown}{self._prefix}: a path with an empty component, . or .. is not supported"
            )
        self.root = (self._shown + self._prefix).rstrip("/")
        self._connection = connect(scheme, place)
        self._writable = scheme in ("s3", "gs")
        self._seen: dict[str, Identity] = {}

    def get(self, path: str) -> bytes:
        self._seen.pop(path, None)
        return bytes(self._read(path, None))

    def get_range(self, path: str, start: int, length: int) -> bytes:
        return bytes(self._read(path, (start, start + length)))

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        return many.fetch(lambda start, end: self._read(path, (start, end)), ranges)

    def size(self, path: str) -> int:
        if path not in self._seen:
            self._remember(path, self._head(path))
        return self._seen[path][1]

    def stamp(self, path: str) -> tuple[int, str]:
        size = self.size(path)
        return size, self._seen[path][0]

    def modified(self, path: str) -> float:
        time: float = self._head(path)["last_modified"].timestamp()
        return time

    def exists(self, path: str) -> bool:
        try:
            self._head(path)
        except FileNotFoundError:
            return False
        return True

    def sizes(self, prefix: str = "") -> dict[str, int]:
        found: dict[str, int] = {}
        last: str | None = None
        while True:
            page = self._page(prefix, last)
            found.update((meta["path"], meta["size"]) for meta in page)
            if len(page) < PAGE or page[-1]["path"] == last:
                break
            last = page[-1]["path"]
        skip = len(self._prefix) + 1 if self._prefix else 0
        return {key[skip:]: found[key] for key in sorted(found)}

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(self.sizes(prefix))

    def folders(self) -> Iterator[str]:
        import obstore

        self._must_list("")

        def request(store: Any) -> Sequence[str]:
            found: Sequence[str] = obstore.list_with_delimiter(store, self._prefix)["common_prefixes"]
            return found

        try:
            return iter(sorted(key.rpartition("/")[2] for key in self._perform("LIST", "", request)))
        except RequestError as fault:
            raise fault.error(self.name("")) from None

    def put(self, path: str, data: bytes | bytearray) -> None:
        self._write(path)
        try:
            self._put(path, data, "overwrite")
        except RequestError as fault:
            raise fault.error(self.name(path)) from None

    def put_all(self, objects: Sequence[tuple[str, bytes]]) -> None:
        for path, data in objects:
            self.put(path, data)

    def put_new(self, path: str, data: bytes) -> None:
        self._write(path)
        try:
            self._put(path, data, "create")
            return
        except RequestError as fault:
            if fault.status not in (409, 412, 501):
                raise fault.error(self.name(path)) from None
            # An earlier attempt may have written the object although its response was lost.
            if fault.status != 501 and fault.attempts > 1 and self._holds(path, data):
                return
            unconditional = fault.status == 501
        # A store without conditional writes: existing objects are detected, but both of two simultaneous writers may
        # succeed.
        if not unconditional or self.exists(path):
            raise FileExistsError(errno.EEXIST, "another writer created it first", self.name(path))
        self.put(path, data)

    def put_over(self, path: str, old: bytes, data: bytes, *, on_condition: bool) -> None:
        """Write an object in place of `old`. With `on_condition` (see `keeps_conditions`), this is atomic.

        Raises FileExistsError if the object is not `old`, and FileNotFoundError if it does not exist; then nothing was
        written. After any other OSError, it is unknown whether the object was written.
        """
        self._write(path)
        for _ in range(2):  # twice, because it may have been damaged in transfer
            found, meta = self._fetch(path, None)
            if found == old:
                break
        else:
            raise FileExistsError(errno.EEXIST, "another writer has replaced it", self.name(path))
        version = {name: meta[name] for name in ("e_tag", "version") if meta[name]}
        try:
            self._put(path, data, version if on_condition else "overwrite")
        except RequestError as fault:
            if fault.status in (404, 409, 412) and not fault.lost:
                raise FileExistsError(
                    errno.EEXIST, "another writer has replaced it", self.name(path)
                ) from None
            if not self._holds(path, data):  # an attempt may have written it although its response was lost
                raise fault.error(self.name(path)) from None

    def keeps_conditions(self, path: str) -> bool:
        """Tell whether the store supports conditional writes.

        To find out, request to write the object at this path on a condition that is not met; the store must refuse.
        """
        never = {"e_tag": '"0"', "version": "1"}
        try:
            self._put(path, self.get(path), never)
        except RequestError as fault:
            if fault.status in (412, 501):
                return fault.status == 412
            raise fault.error(self.name(path)) from None
        return False

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        self._write(path)
        upload = Upload(self._connection, self._key(path), self.name(path))
        try:
            yield upload  # type: ignore[misc]
            if upload.parts:
                upload.finish()
            else:
                self.put(path, upload.rest())
        except BaseException:
            if upload.parts and not upload.abort():
                with suppress(OSError):
                    self._connection.abort_uploads(self._key(path), self._key(path).__eq__)
            raise

    def delete(self, path: str) -> None:
        self._write(path)
        with suppress(FileNotFoundError):
            self._delete([self._key(path)], path)

    def delete_incomplete(self, of: Callable[[str], bool]) -> None:
        below = f"{self._prefix}/" if self._prefix else ""
        self._connection.abort_uploads(below, lambda key: of(key.removeprefix(below)))

    def delete_all(self, paths: Iterable[str]) -> None:
        paths = list(paths)
        for first in range(0, len(paths), PAGE):
            page = paths[first : first + PAGE]
            for path in page:
                self._write(path)
            with suppress(FileNotFoundError):
                self._delete([self._key(path) for path in page], page[0])

    def sync(self) -> None:
        """Do nothing, because a store keeps what it has acknowledged."""

    def links(self) -> Iterator[str]:
        return iter(())

    def name(self, path: str) -> str:
        """Return the URI of an object, for messages."""
        return self._shown + self._key(path)

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._prefix, path)))

    def _write(self, path: str) -> None:
        """Forget an object's identity before a write. Raises OSError for a web server, which is read-only."""
        if not self._writable:
            raise OSError(
                errno.EROFS,
                "a web server is read-only; use s3://, gs:// or a local path",
                self.name(path),
            )
        self._seen.pop(path, None)

    def _perform(self, method: str, path: str, request: Callable[[Any], Result], **options: Any) -> Result:
        """Make a request to the store, and repeat it if the bucket is in another region. Raises RequestError."""
        store = self._connection.store
        try:
            found: Result = perform(method, self.name(path), lambda: request(store), **options)
            return found
        except RequestError as fault:
            if fault.region is None or not self._connection.move(fault.region, store):
                raise
        moved = self._connection.store
        found = perform(method, self.name(path), lambda: request(moved), **options)
        return found

    def _read(self, path: str, span: tuple[int, int] | None) -> memoryview:
        """Return the bytes [start, end) of an object; without `span`, all bytes."""
        if span and span[0] >= span[1]:
            return memoryview(b"")
        data, meta = self._fetch(path, span)
        if meta:
            self._remember(path, meta)
        return data

    def _fetch(self, path: str, span: tuple[int, int] | None) -> tuple[memoryview, Any]:
        """Return the same bytes, and the store's metadata of the object; b"" and None past its end."""
        import obstore

        key, known = self._key(path), self._seen.get(path)
        options: Any = {}
        if span:
            options["range"] = span
            if known and known[0].startswith('"'):  # a weak ETag never matches
                options["if_match"] = known[0]

        def request(store: Any) -> tuple[memoryview, Any]:
            result = obstore.get(store, key, options=options)
            if not span and result.meta["size"] > LARGEST:
                raise RequestError("large", f"{result.meta['size']} bytes, more than such an object can have")
            data, (first, end) = memoryview(result.bytes()), result.range
            if len(data) != end - first:
                raise RequestError("short", f"{len(data)} bytes instead of {end - first}", passing=True)
            return data, result.meta

        shown = f"{span[0]}-{span[1] - 1}" if span else ""
        try:
            return self._perform("GET", path, request, span=shown, received=lambda found: len(found[0]))
        except RequestError as fault:
            if fault.status == 416 and span and not (known and span[0] < known[1]):
                return memoryview(b""), None
            raise (replaced if fault.status in (412, 416) else fault.error)(self.name(path)) from None

    def _remember(self, path: str, meta: Any) -> None:
        """Record the identity of an object. Raises OSError if the object has been replaced."""
        identity = (meta["e_tag"] or str(meta["last_modified"]), meta["size"])
        if self._seen.setdefault(path, identity) != identity:
            raise replaced(self.name(path))

    def _head(self, path: str) -> Any:
        import obstore

        try:
            return self._perform("HEAD", path, lambda store: obstore.head(store, self._key(path)))
        except RequestError as fault:
            if fault.status == 400:  # a HEAD response has no body, so a GET is needed for the reason
                self._read(path, (0, 1))
            raise fault.error(self.name(path)) from None

    def _must_list(self, prefix: str) -> None:
        """Raise OSError if the place can't list objects."""
        if not self._writable:
            raise OSError(
                errno.ENOTSUP, "a web server can't list objects; use s3:// or gs://", self.name(prefix)
            )

    def _page(self, prefix: str, after: str | None) -> Sequence[Any]:
        """List up to PAGE objects below a prefix, in order, after a key."""
        import obstore

        self._must_list(prefix)

        def request(store: Any) -> Sequence[Any]:
            return next(obstore.list(store, self._key(prefix), offset=after, chunk_size=PAGE), [])

        try:
            return self._perform("LIST", prefix, request)
        except RequestError as fault:
            raise fault.error(self.name(prefix)) from None

    def _put(self, path: str, data: bytes | bytearray, mode: Any) -> None:
        import obstore

        def request(store: Any) -> None:
            obstore.put(
                store, self._key(path), data, mode=mode, use_multipart=False, **self._connection.placed
            )

        self._perform("PUT", path, request, sent=len(data))

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return self.get(path) == data
        except FileNotFoundError:
            return False

    def _delete(self, keys: Sequence[str], path: str) -> None:
        import obstore

        try:
            self._perform("DELETE", path, lambda store: obstore.delete(store, keys))
        except RequestError as fault:
            raise fault.error(self.name(path)) from None
