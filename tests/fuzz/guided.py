"""Inputs that libFuzzer chooses (atheris): what reaches new blocks of the kernels is changed further.

    make fuzz-guided                                        # every parser for half a minute
    make fuzz-guided GUIDED="--seconds 600 records stored"  # some, and longer
    make fuzz-guided GUIDED="--replay FILE stored"          # an input that failed

Parsers are those of text (`texts`) and what is near to the kernels (`kernels`). Inputs that reached something new are
kept in build/fuzz/corpus, from which the next campaign goes on; those that failed are in build/fuzz. They are found on
the counted build, which checks indexes and is fast; then the sanitized build reads what was kept (`--kept`). On other
builds, it is the lines of Python that count: for parsers of text, `PYTHONPATH=support python -m fuzz.guided filter` in
tests.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import atheris
from atheris import core_with_libfuzzer

PROGRAM = ctypes.CDLL(None)
COUNTED = hasattr(PROGRAM, "bams3_counters")  # then kernels guide; libasan takes what Python would say
with nullcontext() if COUNTED else atheris.instrument_imports(include=["bams3"]):
    from bams3.errors import Bams3Error

    from fuzz.blocks import counter
    from fuzz.campaign import attempt
    from fuzz.kernels import KERNELS
    from fuzz.seeds import Seeds
    from fuzz.texts import PARSERS, read_text

READS: dict[str, Callable[[bytes], object]] = {
    **{name: kernel.read for name, kernel in KERNELS.items()},
    **{name: partial(read_text, parser.read) for name, parser in PARSERS.items()},
}
FOLDER = Path(__file__).parents[2] / "build/fuzz"
EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
OPTIONS = (
    "-print_final_stats=1",
    "-timeout=60",
    "-rss_limit_mb=0",
    "-max_len=8192",
    "-verbosity=0",
    "-reload=0",
)


def main() -> int:
    """Returns the exit code: 1 if an input made a parser fail."""
    options = argparse.ArgumentParser(prog="python -m fuzz.guided", description="Inputs chosen by libFuzzer.")
    options.add_argument("parsers", nargs="*", metavar="PARSER", help=f"[all: {' '.join(READS)}]")
    options.add_argument("--seconds", type=int, default=30, help="for each parser [30]")
    options.add_argument("--kept", action="store_true", help="only read what was kept, each once")
    options.add_argument("--rounds", type=int, default=1, help="how often each has its turn [1]")
    options.add_argument("--seeds", type=int, default=40, help="files made to begin with [40]")
    options.add_argument("--folder", type=Path, default=FOLDER, help=f"of inputs that are kept [{FOLDER}]")
    options.add_argument("--replay", type=Path, help="let the parser read this input")
    given = options.parse_args()
    logging.disable(logging.WARNING)
    names = given.parsers or list(READS)
    if given.replay:
        _, what = attempt(READS[names[0]], given.replay.read_bytes())
        print(what or "no failure")
        return bool(what)
    begin(given.folder / "corpus", names, given.seeds)
    inputs, failures, used = 0, 0, 0.0
    for name in names * given.rounds:
        limit = "-runs=0" if given.kept else f"-max_total_time={given.seconds}"
        read, cpu, failed = turn(name, limit, given.folder)
        inputs, failures, used = inputs + read, failures + failed, used + cpu
        print(f"{name:10} {read:>12,} inputs, {read / cpu:>8,.0f} in a CPU-second"
              f"{', FAILED: see ' + str(log_of(given.folder, name)) if failed else ''}", flush=True)  # fmt: skip
    if blocks := counter():
        print(f"{blocks.contents.value:,} blocks of the kernels ran")
    print(f"{inputs:,} inputs in {used:.0f} CPU-seconds, {failures} failures")
    return bool(failures)


def begin(corpus: Path, names: Iterable[str], seeds: int) -> None:
    """Write what each parser begins with, if it has nothing yet."""
    made = None
    for name in names:
        (corpus / name).mkdir(parents=True, exist_ok=True)
        if any((corpus / name).iterdir()):
            continue
        if name in KERNELS:
            made = made or Seeds(seeds)
        inputs = KERNELS[name].inputs(made) if name in KERNELS and made else PARSERS[name].texts
        for data in inputs:
            (corpus / name / hashlib.sha1(data).hexdigest()).write_bytes(data)


def log_of(folder: Path, name: str) -> Path:
    """What libFuzzer and the sanitizers said when a parser had its last turn that failed."""
    return folder / f"{name}.log"


def turn(name: str, limit: str, folder: Path) -> tuple[int, float, bool]:
    """Let a parser read inputs in a process of its own, since libFuzzer ends the process. Returns their number, the
    CPU time, and whether one failed."""
    said = folder / f"{name}.now"
    child = os.fork()
    if not child:
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        words = (
            limit,
            f"-artifact_prefix={folder}/{name}-",
            str(folder / "corpus" / name),
        )
        fuzz(READS[name], (*OPTIONS, *words))
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    executed = EXECUTED.search(said.read_text(errors="replace"))
    said.rename(log_of(folder, name)) if code else said.unlink()
    return int(executed[1]) if executed else 0, usage.ru_utime + usage.ru_stime, bool(code)


def fuzz(read: Callable[[bytes], object], options: Iterable[str]) -> None:
    """Have libFuzzer choose inputs. If blocks are counted, it looks at those that ran (`blocks.c`)."""

    def read_input(data: bytes) -> None:
        with suppress(Bams3Error):
            read(data)

    if COUNTED:
        number = ctypes.c_uint64.in_dll(PROGRAM, "bams3_number_of_counters").value
        first = ctypes.addressof(ctypes.c_uint8.in_dll(PROGRAM, "bams3_counters"))
        fuzzer = ctypes.CDLL(core_with_libfuzzer.__file__)
        fuzzer.__sanitizer_cov_8bit_counters_init(ctypes.c_void_p(first), ctypes.c_void_p(first + number))
    atheris.Setup([sys.argv[0], *options], read_input)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
