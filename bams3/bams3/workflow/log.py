"""The log of a rule's script. An error that ends the script is written to the log as well as to standard error."""

import subprocess
import sys
import traceback
from types import TracebackType
from typing import Any, BinaryIO

from bams3.errors import Bams3Error
from bams3.shown import escaped, shown


def open_log(job: Any) -> BinaryIO:
    """Open the log of a job, which also takes the output of its programs. `job`: Snakemake's `snakemake` object.

    From now on, an exception that ends the script is written to the log: in one line if it concerns a file, an input or
    a program, otherwise with its traceback.
    """
    log = open(job.log[0], "wb", buffering=0)  # noqa: SIM115 (it stays open until the script ends)

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, subprocess.CalledProcessError):
            text = f"{job.rule}: {_failed(error)}; see {job.log[0]}\n"
        elif isinstance(error, (Bams3Error, OSError)):
            text = f"{job.rule}: {shown(error)}\n"
        else:
            text = "".join(map(_line, traceback.format_exception(kind, error, trace)))
        log.write(text.encode(errors="backslashreplace"))
        sys.stderr.write(text)

    sys.excepthook = tell
    return log


def _failed(error: subprocess.CalledProcessError) -> str:
    words = [error.cmd] if isinstance(error.cmd, str) else error.cmd[:2]
    code = error.returncode
    return shown(f"{' '.join(words)} failed ({f'exit code {code}' if code > 0 else f'signal {-code}'})")


def _line(text: str) -> str:
    return "".join(f"{escaped(line)}\n" for line in text.removesuffix("\n").split("\n"))
