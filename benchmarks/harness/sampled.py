"""Run a command of bams3 in this process, and print as JSON where its CPU time was spent.

python benchmarks/harness/sampled.py WORD …

The command runs once before it is sampled, so that start-up is not included. `locked`: the fraction of samples in which
the running thread held Python's lock. `shared`: the fraction in which it did, or was the main thread. `main`: the
fraction of the CPU time that the main thread used.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from bams3.cli import main

SOURCE = Path(__file__).with_name("lock.c")


def sampler() -> ctypes.PyDLL:
    """Compile and load `lock.c`."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lock.so"
        include = f"-I{sysconfig.get_path('include')}"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", include, SOURCE, "-o", library], check=True)
        return ctypes.PyDLL(str(library))


def sampled(words: list[str]) -> dict[str, float]:
    """Run a command of bams3 twice, and sample the second run."""
    main(words)
    timer, counts = sampler(), (ctypes.c_long * 4)()
    wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    timer.start()
    code = main(words)
    timer.stop(counts)
    if code:
        sys.exit(code)
    _, locked, main_free, main_locked = counts
    total = max(sum(counts), 1)
    return {
        "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "samples": total,
        "main": (time.thread_time() - own) / (time.process_time() - cpu),
        "locked": (locked + main_locked) / total,
        "shared": (locked + main_locked + main_free) / total,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(sampled(sys.argv[1:])))
