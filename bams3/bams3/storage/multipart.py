"""Uploads of objects in parts, while they are being written."""

import io
import time
from collections.abc import Callable
from typing import Any

from bams3.storage.connect import Connection
from bams3.storage.faults import RequestError
from bams3.storage.requests import note

PART = 8 << 20  # bytes in a part of an upload; a smaller object is sent in one request
PARTS_IN_FLIGHT = 4


class Upload(io.RawIOBase):
    """A file whose data are uploaded in parts of PART bytes while it is written."""

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
        """Return the data that have not been sent. A small object is sent as one request instead of an upload."""
        return self._buffer

    def finish(self) -> None:
        """Send the remaining data and complete the upload. Raises OSError."""
        if self._buffer:
            self._send(len(self._buffer))
        self._try(lambda: self._writer.close())
        note("POST", self._name, "", 0, 0, self._begun, 200)

    def abort(self) -> bool:
        """Abort the upload; return False if this failed."""
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
            portion = bytes(whole[:length])  # a copy, because obstore keeps it
        del self._buffer[:length]
        self._try(lambda: self._writer.write(portion))
        note("PUT", self._name, f"part {len(self.parts) + 1}", 0, length, begun, 200)
        self.parts.append(length)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            raise RequestError.of(error).error(self._name) from None
