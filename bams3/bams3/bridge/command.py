"""A command, and a process that serves it for as long as it runs."""

import os
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

_READY = b"ready"
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}


def run_served(serve: Callable[[Callable[[], None]], None], words: list[str]) -> int:
    """Run a command while `serve` runs in a child process, and return its exit code, as a shell gives it.

    `serve` is given a function to call when it is ready, and must return upon SIGTERM. It gets that when the command
    has ended, or when this process has, in whatever way. Call this before there are threads. Raises what `serve`
    raises, and OSError if the command can't be run.
    """
    held, hold = os.pipe()  # open at its writing end as long as this process lives
    heard, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(hold)
        os.close(heard)
        os._exit(_served(serve, held, tell))
    os.close(held)
    os.close(tell)
    try:
        with open(heard, "rb") as pipe:
            said = pipe.read()
        if said != _READY:
            raise (
                pickle.loads(said) if said else ChildProcessError("the process that serves files was killed")
            )
        return _run(words)
    finally:
        os.close(hold)
        os.waitpid(child, 0)


def _served(serve: Callable[[Callable[[], None]], None], held: int, tell: int) -> int:
    os.setsid()  # a terminal's signals are for the command

    def ready() -> None:
        os.write(tell, _READY)
        os.close(tell)
        threading.Thread(target=_end_with, args=(held,), daemon=True).start()

    try:
        serve(ready)
        return 0
    except BaseException as error:
        with suppress(OSError):  # when it was ready, nobody listens any more
            os.write(tell, pickle.dumps(error))
        return 1


def _end_with(held: int) -> None:
    os.read(held, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _run(words: list[str]) -> int:
    """Run a command to its end; what this process is sent meanwhile goes to it, unless a terminal sends it to both."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
    try:
        defaults = [signal.SIGPIPE, signal.SIGXFSZ]  # which Python ignores
        command = os.posix_spawnp(words[0], words, os.environ, setsigmask=before, setsigdef=defaults)
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
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
