"""Response times of `bams3 serve`: for one client, for many clients at once, and for the page."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from harness.bench import Bench, has, same
from harness.data import Alignments, random_region
from harness.process import BAMS3
from harness.table import Floor, Row
from harness.tiled import CHR1, tiled

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from servers import nginx

CLIENTS, LENGTH = 50, 10_000  # simultaneous clients; length of the regions that they request, in bp
SECONDS, SHORT = 60, 6  # duration of their requests; the same in a quick run
LITTLE = 512  # MiB
MORE = 15  # most ms in addition to what samtools needs for the BAM


@contextmanager
def server(bench: Bench, dataset: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Context manager: yield the URL of a server with two workers, and the name of the dataset there."""
    command = [BAMS3, "serve", "--port", "0", "--workers", "2", *options, str(dataset)]
    with (
        open(bench.scratch / "serve.log", "wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process.stdout.readline().partition("/:")[0], dataset.stem
        finally:
            process.terminate()


def region(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure how many ms more than from the BAM it takes to read 1 kb that was requested before.

    The BAM on a static server shows what the client itself needs for HTTP.
    """
    if not has("samtools"):
        return
    taken: dict[str, list[float]] = {"": [], "file": [], "htsget": []} | (
        {"BAM by nginx": []} if has("nginx") else {}
    )
    with ExitStack() as stack:
        url, name = stack.enter_context(server(bench, bench.dataset(alignments)))
        if has("nginx"):
            static = stack.enter_context(nginx(bench.scratch, _static(bench, alignments)))
        for seed in range(4 * bench.rounds):
            contig, start, end = random_region(alignments, seed).replace(":", "-").split("-")
            places = {
                "": [alignments.bam, f"{contig}:{start}-{end}"],
                "file": [f"{url}/bam/{name}.bam", f"{contig}:{start}-{end}"],
                "htsget": [f"{url}/reads/{name}?referenceName={contig}&start={int(start) - 1}&end={end}"],
            }
            if has("nginx"):
                places["BAM by nginx"] = [f"{static}/static.bam", f"{contig}:{start}-{end}"]
            counts = []
            for what, place in chain.from_iterable([places.items()] * 2):
                began = time.perf_counter()
                counts.append(_view(bench, *map(str, place)))
                if len(counts) > len(places):
                    taken[what].append(1000 * (time.perf_counter() - began))
            same(f"count of {contig}:{start}-{end}", set(counts), {counts[0]})
    theirs = median(taken.pop(""))
    for what, times in taken.items():
        ours = median(times)
        floor = None if "nginx" in what else Floor(f"≤ {MORE} ms more", ours - theirs <= MORE)
        yield Row(
            f"served: 1 kb, {what}, warm, wall",
            alignments.name,
            "ms",
            ours,
            "samtools view -c",
            theirs,
            floor=floor,
        )


def _static(bench: Bench, alignments: Alignments) -> Path:
    """Return a folder with the BAM and its index.

    Their name is that of no dataset, because htslib caches indexes by name.
    """
    folder = bench.scratch / "static"
    folder.mkdir()
    for suffix in ("", ".bai"):
        (folder / f"static.bam{suffix}").symlink_to(f"{alignments.bam.absolute()}{suffix}")
    return folder


def _view(bench: Bench, *place: str) -> str:
    """Run samtools view in the scratch folder, because htslib stores the index in the current directory."""
    command = ["samtools", "view", "-c", *place]
    return subprocess.run(
        command, cwd=bench.scratch, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout


def many(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure simultaneous clients, each of which requests the reads of random regions by htsget, one after the other.

    The server has its default memory, and then half of the memory that would keep all records decoded.
    """
    for memory, options in (("", []), (f", --memory {LITTLE}", ["--memory", str(LITTLE)])):
        yield from _many(bench, alignments, memory, options)


def _many(bench: Bench, alignments: Alignments, memory: str, options: list[str]) -> Iterator[Row]:
    seconds = SECONDS if bench.rounds > 1 else SHORT
    taken: list[float] = []
    failed: list[Exception] = []
    with server(bench, bench.dataset(alignments), *options) as (url, name):
        until = time.monotonic() + seconds
        clients = [
            threading.Thread(target=_ask, args=(url, name, alignments, seed, until, taken, failed))
            for seed in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    if failed:
        raise failed[0]
    what = f"served: {CLIENTS} clients, {LENGTH // 1000} kb{memory}"
    answers, slow = len(taken) / seconds, sorted(taken)[len(taken) * 99 // 100]
    yield Row(f"{what}, answers", alignments.name, "/s", answers, floor=Floor("≥ 100/s", answers >= 100))
    yield Row(f"{what}, p99", alignments.name, "s", slow, floor=Floor("≤ 1 s", slow <= 1))


def _ask(
    url: str,
    name: str,
    alignments: Alignments,
    seed: int,
    until: float,
    taken: list[float],
    failed: list[Exception],
) -> None:
    chance = random.Random(seed)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)

    def get(path: str) -> bytes:
        connection.request("GET", path)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise ConnectionError(f"{path}: status {answer.status}")
        return data

    try:
        while (began := time.monotonic()) < until:
            contig, start, end = (
                random_region(alignments, chance.randrange(1 << 30), LENGTH).replace(":", "-").split("-")
            )
            query = f"referenceName={contig}&start={int(start) - 1}&end={end}"
            ticket = json.loads(get(f"/reads/{name}?{query}"))["htsget"]
            for part in ticket["urls"]:
                if not part["url"].startswith("data:"):
                    place = urlsplit(part["url"])
                    get(f"{place.path}?{place.query}")
            taken.append(time.monotonic() - began)
    except (OSError, http.client.HTTPException) as error:
        failed.append(error)


def page(bench: Bench, alignments: Alignments) -> Iterator[Row]:
    """Measure the depth of human chromosome 1, as the page requests it: until the first portion, and until the last."""
    dataset, length = bench.scratch / "tiled.bams3", CHR1 if bench.rounds > 1 else CHR1 // 16
    tiled(bench.dataset(alignments), dataset, length)
    took: tuple[list[float], list[float]] = ([], [])
    with server(bench, dataset) as (url, name):
        for _ in range(bench.rounds):
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
            began = time.perf_counter()
            connection.request("GET", f"/datasets/{name}/depth?contig=chr1")
            for number, _ in enumerate(connection.getresponse()):
                if number == 1:
                    took[0].append(time.perf_counter() - began)
            took[1].append(time.perf_counter() - began)
    data = f"a contig of {length / 1e6:.3g} Mb"
    first, last = map(median, took)
    yield Row(
        "served: depth of a contig, first portion", data, "s", first, floor=Floor("≤ 1.5 s", first <= 1.5)
    )
    yield Row("served: depth of a contig, all", data, "s", last)
