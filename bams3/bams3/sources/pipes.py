"""Pipes that are written by a thread while the other end is read."""

import signal
import threading
from collections.abc import Iterable
from typing import Any


class Feeder:
    """A thread that writes `parts` to `pipe`, unbuffered, and closes it.

    `failure`: the error of the writer. It is set before the pipe is closed, so that a reader does not mistake a part
    for the whole. `unread`: whether the reader stopped early, which is not a failure.
    """

    def __init__(self, pipe: Any, parts: Iterable[Any]) -> None:
        self.failure: BaseException | None = None
        self.unread = False
        self._pipe, self._parts = pipe, parts
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until everything is written, or nothing more can be written."""
        self._thread.join()

    def _feed(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # with its default action, SIGPIPE would end the program
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        with self._pipe:
            try:
                for part in self._parts:
                    view = memoryview(part)
                    while len(view):
                        view = view[self._pipe.write(view) :]
            except BrokenPipeError:
                self.unread = True
            except BaseException as error:
                self.failure = error
