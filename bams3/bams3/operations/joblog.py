"""The job log of `bams3 map`, in the format of GNU parallel's --joblog."""

import os
import re

from bams3.named import named
from bams3.operations.map_command import Outcome
from bams3.operations.placeholders import variable
from bams3.output.files import refuse_foreign

_COLUMNS = ("Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command")
_VARIABLES = re.compile(r"""(?:\w+=(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])* )+""")
"""The variables that a logged command begins with; their values may be quoted."""
_HEADING = "\t".join(_COLUMNS) + "\n"


class JobLog:
    """A file with one line per finished job."""

    def __init__(self, path: str, *, resume: bool) -> None:
        """Begin a new log or, with `resume`, continue an existing one.

        Raises OSError, and UsageError if the file exists and is not a job log.
        """
        refuse_foreign(path, _HEADING.encode().__eq__, "a job log")
        self._done: set[str] = set()
        if resume and os.path.isfile(path) and os.path.getsize(path):
            self._done = self._read(path)
        else:
            with named(path), open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(_HEADING)
        self._path = path
        self._file = open(path, "a", encoding="utf-8", errors="surrogateescape", buffering=1)  # noqa: SIM115

    def __enter__(self) -> "JobLog":
        return self

    def __exit__(self, *_: object) -> None:
        with named(self._path):
            self._file.close()

    @staticmethod
    def _read(path: str) -> set[str]:
        """Return the commands that succeeded, and whose files no other command has replaced since.

        An incomplete last line, which a killed run left, is removed from the file.
        """
        with named(path), open(path, "r+b") as file:
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            file.truncate(len(whole))
        rows = [line.split("\t", 8) for line in whole.decode("utf-8", "surrogateescape").split("\n")]
        done: dict[str, str] = {}
        for *_, code, signal, command in (row for row in rows if len(row) == 9):
            place = _place_of(command)
            if (code, signal) == ("0", "0"):
                done[place] = command
            elif done.get(place) == command:
                del done[place]
        return set(done.values())

    def has(self, command: str, file: str | None) -> bool:
        """Tell whether a command succeeded in an earlier run and its output file, if any, still exists."""
        return command in self._done and (file is None or os.path.exists(file))

    def write(self, outcome: Outcome, command: str) -> None:
        """Log the outcome of a job."""
        code = outcome.code or int(outcome.error is not None)
        times = f"{outcome.started:.3f}", f"{outcome.seconds:10.3f}"
        ended = max(code, 0), max(-code, 0)
        row = (outcome.job.number, ":", *times, outcome.sent, outcome.received, *ended, command)
        with named(self._path):
            print(*row, sep="\t", file=self._file)


def _place_of(command: str) -> str:
    """Return what two logged commands that write the same file have in common; without a file, the command itself."""
    variables = _VARIABLES.match(command)
    return variables[0] if variables and f"{variable('output')}=" in variables[0] else command
