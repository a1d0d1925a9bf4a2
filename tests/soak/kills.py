"""`kill -9` of serve and of mount under load, at random moments: no answer is wrong, and nothing is left."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bams3.operations.convert import convert
from listings import contents
from mounts import LIMIT, running
from served import serving

from soak.load import Mount, Server, Truth

BROKEN = (OSError, ValueError, http.client.HTTPException)
"""What a client may meet when the other side has gone; pysam raises ValueError, too."""
MOST_ANSWERS = 12
MOST_SECONDS = 0.05
"""A kill comes after so many answers at most, and so much later."""
VICTIMS = ("the command", "the process that serves", "both")


class Kills:
    """Rounds on a dataset in a folder; `wrong`: what was wrong; `found`: how often clients met what."""

    def __init__(self, bam: Path, folder: Path, clients: int) -> None:
        self._dataset, self._clients = folder / "killed.bams3", clients
        convert(bam, self._dataset, workers=1)
        self._before = contents(self._dataset)
        self._truth = Truth(self._dataset, folder)
        self._mountpoint, self._scratch = folder / "mnt", folder / "scratch"
        self._scratch.mkdir()
        self._words = ("--memory", 32, "--workers", 2, self._dataset)
        self._port = 0
        self.wrong: list[str] = []
        self.found: Counter[str] = Counter()

    def server(self, chance: random.Random) -> None:
        """Serve and kill; the next one serves at the same port."""
        port = ("--port", self._port) if self._port else ()
        with serving(*port, *self._words, TMPDIR=str(self._scratch)) as server:
            self._port = self._port or int(server.url.rpartition(":")[2])
            self._under_load("serve", Server(server.url, self._truth).ask, server.process.kill, chance)
            server.process.wait()
        self._check("serve")

    def mount(self, chance: random.Random) -> None:
        """Mount and kill one of the two processes, or both; the next one mounts at the same place."""
        victim = chance.choice(VICTIMS)
        with running(*self._words, self._mountpoint) as (process, out):
            serves = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
            chosen = {VICTIMS[0]: [process.pid], VICTIMS[1]: [serves], VICTIMS[2]: [process.pid, serves]}

            def kill() -> None:
                for each in chosen[victim]:
                    os.kill(each, signal.SIGKILL)

            self._under_load("mount", Mount(self._mountpoint, self._truth).ask, kill, chance)
            process.wait(LIMIT)
            out.read()  # until the other process has ended, too
        if os.path.ismount(self._mountpoint):
            if victim != VICTIMS[2]:
                self.wrong.append(f"mount: {victim} was killed, and the mount is still there")
            subprocess.run(["fusermount3", "-u", self._mountpoint], check=True)
        with suppress(FileNotFoundError):
            self._mountpoint.rmdir()
        self._check("mount")

    def _under_load(
        self, what: str, ask: Callable[[random.Random], None], kill: Callable[[], None], chance: random.Random
    ) -> None:
        """Let clients ask until they meet the end; kill after some answers."""
        killed, answered = threading.Event(), threading.Semaphore(0)

        def client(own: random.Random) -> None:
            while True:
                try:
                    ask(own)
                    self.found[f"{what}: right answers"] += 1
                except BROKEN as error:
                    if not killed.is_set():
                        self.wrong.append(f"{what}: before the kill: {error!r}")
                    self.found[f"{what}: broken off"] += 1
                    return
                except AssertionError as error:
                    self.wrong.append(f"{what}: {error}")
                    return
                finally:
                    answered.release()

        threads = [
            threading.Thread(target=client, args=[random.Random(chance.random())])
            for _ in range(self._clients)
        ]
        for thread in threads:
            thread.start()
        for _ in range(chance.randrange(MOST_ANSWERS + 1)):
            answered.acquire()
        killed.wait(chance.random() * MOST_SECONDS)
        killed.set()
        kill()
        for thread in threads:
            thread.join(LIMIT)
            if thread.is_alive():
                self.wrong.append(f"{what}: a client hangs")

    def _check(self, what: str) -> None:
        if contents(self._dataset) != self._before:
            self.wrong.append(f"{what}: the dataset has changed")
        if left := os.listdir(self._scratch):
            self.wrong.append(f"{what}: temporary files are left: {left}")


def kills(bam: Path, number: int, clients: int, seed: int, folder: Path) -> int:
    """Kill both so many times; returns the exit code."""
    started = time.monotonic()
    job = Kills(bam, folder, clients)
    tempfile.gettempdir()  # that of the clients
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder / "scratch")
    try:
        for each in range(number):
            for kill in (job.server, job.mount):
                kill(random.Random(f"{seed} {each} {kill.__name__}"))
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
    for what in job.wrong[:20]:
        print(f"WRONG: {what}")
    told = ", ".join(f"{times:,} {what}" for what, times in sorted(job.found.items()))
    print(
        f"{number:,} kills of each in {time.monotonic() - started:.0f} s: {told}, {len(job.wrong)} wrong",
        flush=True,
    )
    return bool(job.wrong)
