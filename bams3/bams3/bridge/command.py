"""A process that serves files, either while a command runs or until a signal comes."""

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

Serve = Callable[[Callable[[], None]], None]
"""Serves files until `end` is called or something else ends it. Its argument is a function to call when it is ready."""

_READY = b"ready"
_STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_PASSED_ON = _STOPS | {signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}


def run_served(serve: Serve, end: Callable[[], None], words: list[str]) -> int:
    """Run a command while `serve` runs in a child process, and return its exit code, as a shell does.

    `end` undoes what `serve` did. It is called when the command or this process has ended, whatever the reason. Call
    this function before threads are started. Raises what `serve` raises, OSError if the command can't be run, and
    ChildProcessError if the child process is killed.
    """
    with _serving(serve, end), _blocked(_PASSED_ON | {signal.SIGCHLD}) as before:
        return _run(words, before)


def serve_until_stopped(serve: Serve, end: Callable[[], None], started: Callable[[], None]) -> None:
    """Like `run_served`, but until SIGINT, SIGTERM or SIGHUP, unless these are ignored, or until `serve` returns.

    `started` is called when `serve` is ready.
    """
    stops = {number for number in _STOPS if signal.getsignal(number) != signal.SIG_IGN}
    with _serving(serve, end) as child, _blocked(stops | {signal.SIGCHLD}):
        started()
        while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if signal.sigwait(stops | {signal.SIGCHLD}) != signal.SIGCHLD:
                break


@contextmanager
def _serving(serve: Serve, end: Callable[[], None]) -> Iterator[int]:
    """Yield the process id of a child that serves, once it is ready."""
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # some launchers ignore SIGCHLD; then it would never be sent
    held, hold = os.pipe()  # the writing end is open as long as this process lives
    heard, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(hold)
        os.close(heard)
        _serve(serve, end, held, tell)
    os.close(held)
    os.close(tell)
    try:
        with open(heard, "rb") as pipe:
            said = pipe.read()
        if said != _READY:
            if not said:
                raise ChildProcessError("the process that serves files was killed")
            raise pickle.loads(said)  # sent by the child # nosec B301
    except BaseException:
        os.close(hold)  # this ends the child
        os.waitpid(child, 0)
        raise
    try:
        yield child
    finally:
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended or status:
            end()
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(hold)
    if ended and status:
        raise ChildProcessError(
            "the process that serves files was killed, so they could not be read to the end"
        )


def _serve(serve: Serve, end: Callable[[], None], held: int, tell: int) -> NoReturn:
    os.setsid()  # signals from a terminal are for the command only
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # and so are those from a scheduler
    ready = threading.Event()

    def tell_ready() -> None:
        ready.set()
        os.write(tell, _READY)
        os.close(tell)

    def end_with_parent() -> None:
        os.read(held, 1)
        if ready.is_set():
            end()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        serve(tell_ready)
        os._exit(0)
    except BaseException as error:
        with suppress(OSError):  # if it was ready, the parent no longer listens
            os.write(tell, pickle.dumps(error))
        os._exit(1)


@contextmanager
def _blocked(numbers: set[signal.Signals]) -> Iterator[set[int]]:
    """Block signals, so that they can be waited for; yields the previous mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(words: list[str], mask: set[int]) -> int:
    """Run a command to its end. Signals that this process gets are passed on, unless a terminal sends them to both."""
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores these
    command = os.posix_spawnp(words[0], words, os.environ, setsigmask=mask, setsigdef=defaults)
    while True:
        got = signal.sigwaitinfo(_PASSED_ON | {signal.SIGCHLD})
        if got.si_signo != signal.SIGCHLD:
            if got.si_code <= 0:  # sent by a process
                os.kill(command, got.si_signo)
            continue
        ended, status = os.waitpid(command, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
