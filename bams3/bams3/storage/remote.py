"""Storage of objects in S3, in Google Cloud Storage, or on a web server (read-only), through obstore."""

import errno
import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from bams3.errors import UsageError
from bams3.storage import LARGEST
from bams3.storage import ranges as many
from bams3.storage.connect import Connection, connect
from bams3.storage.faults import RequestError, replaced
from bams3.storage.requests import note, perform

Result = TypeVar("Result")

PART = 8 << 20  # bytes of a part of an upload; a smaller object is one request
PARTS_IN_FLIGHT = 4
PAGE = 1000  # objects per request to list or delete

Identity = tuple[str, int]
"""What identifies a version of an object: its ETag (or else its modification time), and its length."""


class RemoteStorage:
    """`Storage` at a URI s3://bucket/prefix, gs://bucket/prefix or http(s)://host/prefix.

    The ETag and length of an object are remembered when it is first read, and again whenever it is read as a whole.
    Reading a range raises OSError if the object has been replaced since, unless this storage wrote or deleted it.
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
        # A store without conditional writes: existing objects are found, but two simultaneous writers may both succeed.
        if not unconditional or self.exists(path):
            raise FileExistsError(errno.EEXIST, "another writer created it first", self.name(path))
        self.put(path, data)

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        self._write(path)
        upload = _Upload(self._connection, self._key(path), self.name(path))
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
        """Do nothing: a store keeps what it has acknowledged."""

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
        """Make a request to the store, and once more if the bucket is in another region. Raises RequestError."""
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
        """Return the bytes [start, end) of an object; all of them without `span`."""
        import obstore

        if span and span[0] >= span[1]:
            return memoryview(b"")

        key, known = self._key(path), self._seen.get(path)
        options: Any = {}
        if span:
            options["range"] = span
            if known and known[0].startswith('"'):  # a weak ETag matches nothing
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
            data, meta = self._perform("GET", path, request, span=shown, received=lambda found: len(found[0]))
        except RequestError as fault:
            if fault.status == 416 and span and not (known and span[0] < known[1]):
                return memoryview(b"")
            raise (replaced if fault.status in (412, 416) else fault.error)(self.name(path)) from None
        self._remember(path, meta)
        return data

    def _remember(self, path: str, meta: Any) -> None:
        """Remember the identity of an object. Raises OSError if it has been replaced."""
        identity = (meta["e_tag"] or str(meta["last_modified"]), meta["size"])
        if self._seen.setdefault(path, identity) != identity:
            raise replaced(self.name(path))

    def _head(self, path: str) -> Any:
        import obstore

        try:
            return self._perform("HEAD", path, lambda store: obstore.head(store, self._key(path)))
        except RequestError as fault:
            if fault.status == 400:  # a HEAD response has no body: a GET gets the reason
                self._read(path, (0, 1))
            raise fault.error(self.name(path)) from None

    def _must_list(self, prefix: str) -> None:
        """Raise OSError if the place has no lists of objects."""
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


class _Upload(io.RawIOBase):
    """A file whose data is uploaded in parts of PART bytes while it is written."""

    def __init__(self, connection: Connection, key: str, name: str) -> None:
        super().__init__()
        self.parts: list[int] = []
        self._connection, self._key, self._name = connection, key, name
        self._buffer = bytearray()
        self._writer: Any = None
        self._begun = time.perf_counter()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        if len(self._buffer) >= PART:
            self._send(len(self._buffer) // PART * PART)
        return len(data)

    def rest(self) -> bytearray:
        """The data that has not been sent; a short object is sent as one request instead."""
        return self._buffer

    def finish(self) -> None:
        """Send the remaining data and complete the upload. Raises OSError."""
        if self._buffer:
            self._send(len(self._buffer))
        self._try(lambda: self._writer.close())
        note("POST", self._name, "", 0, 0, self._begun, 200)

    def abort(self) -> bool:
        """Abort the upload; False if that failed."""
        try:
            self._writer.__exit__(KeyboardInterrupt, None, None)
        except Exception:
            return False
        note("DELETE", self._name, "", 0, 0, time.perf_counter(), 204)
        return True

    def _send(self, length: int) -> None:
        if self._writer is None:
            import obstore

            self._writer = obstore.open_writer(
                self._connection.uploads, self._key, buffer_size=PART, max_concurrency=PARTS_IN_FLIGHT,
                **self._connection.placed,
            )  # fmt: skip
            note("POST", self._name, "", 0, 0, self._begun, 200)
        begun = time.perf_counter()
        with memoryview(self._buffer) as whole:
            portion = bytes(whole[:length])  # obstore keeps it
        del self._buffer[:length]
        self._try(lambda: self._writer.write(portion))
        note("PUT", self._name, f"part {len(self.parts) + 1}", 0, length, begun, 200)
        self.parts.append(length)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            raise RequestError.of(error).error(self._name) from None
