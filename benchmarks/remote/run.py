"""Reading from object storage with latency: a table of requests, bytes and times, with their floors.

    python benchmarks/remote/run.py            # 2.4 M and 200 k reads, simulated the first time; about three minutes

nginx serves datasets and a BAM on the loopback interface. A proxy delays each request by the time that a row states.
The table goes to standard output and to results/DATE-remote.md.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from statistics import median
from urllib.request import urlopen

BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "tests")]

from harness.data import random_region, simulated  # noqa: E402
from harness.process import size as size_of  # noqa: E402
from harness.remote import ROUNDS, bams3, delayed, log_of, timed  # noqa: E402
from harness.table import processor, system  # noqa: E402
from servers import nginx  # noqa: E402

IN_FLIGHT = 32
DATASETS, REGIONS = 50, 100


# These functions run in separate processes, called with the name of the function, because a limit on requests applies
# to a process.


def coverage(url: str, prefix: str) -> float:
    """Return the seconds of a coverage run, without imports."""
    from bams3.cli import main

    main(["coverage", "-n", "-c", "none", url, "-o", prefix])
    start = time.perf_counter()
    assert main(["coverage", "-n", url, "-o", prefix]) == 0
    return time.perf_counter() - start


def download(url: str) -> float:
    """Return the bytes per second when every row group is fetched in order, without decoding."""
    from bams3.dataset.prefetch import plan_all
    from bams3.dataset.reader import DatasetReader
    from bams3.select.query import RecordFilter, row_group_jobs

    start = time.perf_counter()
    dataset = DatasetReader(url)
    for _ in dataset.fetched(row_group_jobs(dataset, None, RecordFilter()), plan_all):
        pass
    return dataset.manifest.bytes / (time.perf_counter() - start)


def obstore(url: str, *paths: str) -> float:
    """Return the bytes per second when obstore alone fetches the same objects."""
    from obstore.store import HTTPStore

    start = time.perf_counter()
    store = HTTPStore(url, client_options={"allow_http": True})
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        total = sum(pool.map(lambda path: len(store.get(path).bytes()), paths))
    return total / (time.perf_counter() - start)


def alone(function: Callable[..., float], *arguments: object, **environment: str) -> float:
    """Return the result of a function of this file in a separate process."""
    command = [sys.executable, __file__, function.__name__, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table, and write it to a file."""
    deep, sparse = simulated("hiseq", 2_400_000), simulated("hiseq", 200_000, depth=1)
    binned = simulated("novaseq", 2_400_000)
    load = f"{os.getloadavg()[0]:.2f}"
    head = f"{processor()}, {os.cpu_count()} cores, load {load} at the start; {system()}; median of {ROUNDS} runs."
    text = [head, "", "| | floor | measured |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (folder, folder / "www"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        for alignments, dataset, size in (
            (deep, "deep", "1M"), (binned, "binned", "1M"), (sparse, "sparse", "256K"),
        ):  # fmt: skip
            bams3("convert", "--chunk-size", size, alignments.bam, folder / f"www/{dataset}.bams3")
        for ending in (".bam", ".bam.bai"):
            copy = folder / f"www/deep{ending}"
            shutil.copyfile(f"{deep.bam.with_suffix('')}{ending}", copy)
        with nginx(folder, folder / "www") as url:
            for row in rows(url, folder, [random_region(deep, seed) for seed in range(REGIONS)]):
                text.append(f"| {' | '.join(row)} |")
                print(*row, sep="  ", file=sys.stderr)
    (BENCHMARKS / f"results/{date.today():%Y-%m-%d}-remote.md").write_text(
        "\n".join([f"# Object storage, {date.today():%Y-%m-%d}\n", *text, ""])
    )
    print(*text, sep="\n")


Line = tuple[str, str, str]
"""What is measured, the floor, and the result."""


def rows(url: str, folder: Path, regions: list[str]) -> Iterator[Line]:
    """Yield all lines of the table."""
    from bams3.bam.regions import parse_regions
    from bams3.dataset.reader import DatasetReader

    here = DatasetReader(folder / "www/deep.bams3")
    (region,) = parse_regions(regions[:1], here.references)
    touched = sum(group.hot[1] + group.cold[1] for group in here.row_groups(*region))
    log = log_of("query", f"{url}/deep.bams3", regions[0])
    received = sum(int(line[3]) for line in log)
    yield "1 kb, cold start: requests", "≤ 5", str(len(log))
    yield "… bytes over those of the row groups touched", "≤ 2", f"{received / touched:.2f}"

    yield from bridge_rows(url, folder, regions[0], touched)
    yield from coverage_rows(url, folder, "deep", "HiSeq-like", "≤ 4 %")
    yield from coverage_rows(url, folder, "binned", "NovaSeq-like", "≤ 8 %")
    yield window_row(url, folder)

    with delayed(url, 0.02) as slow:
        target = f"{slow}/sparse.bams3"
        one = alone(coverage, target, folder / "out", BAMS3_MAX_REQUESTS="1")
        many = median(
            alone(coverage, target, folder / "out", BAMS3_MAX_REQUESTS=str(IN_FLIGHT)) for _ in range(ROUNDS)
        )
        what = f"coverage, 20 ms a request: {IN_FLIGHT} in flight against 1"
        yield what, "≥ 15 times faster", f"{one / many:.1f} ({one:.2f} s, {many:.2f} s)"

    paths = [entry.path for entry in here.index]
    rates = [
        (alone(download, f"{url}/deep.bams3"), alone(obstore, f"{url}/deep.bams3", *paths))
        for _ in range(ROUNDS)
    ]
    ours, theirs = median(rate for rate, _ in rates), median(rate for _, rate in rates)
    yield (
        "whole dataset to null, against obstore alone",
        "≥ 0.8",
        (f"{ours / theirs:.2f} ({ours / 1e6:.0f} MB/s, {theirs / 1e6:.0f} MB/s)"),
    )

    with delayed(url, 0.005) as slow:
        bed, names = folder / "regions.bed", folder / "names"
        chance = random.Random(1)
        chosen = parse_regions(chance.sample(regions, REGIONS), here.references)
        bed.write_text("".join(f"{here.references[i][0]}\t{start}\t{end}\n" for i, start, end in chosen))
        for number in range(DATASETS):
            (folder / f"www/{number}.bams3").symlink_to("deep.bams3")
        names.write_text("".join(f"{slow}/{number}.bams3\n" for number in range(DATASETS)))
        spent = timed(lambda: bams3("count", "--regions", bed, "--datasets", names, "--parallel", "auto"), 3)
        yield (
            f"{DATASETS} datasets times {REGIONS} regions, 5 ms a request: counts",
            "≤ 10 s",
            f"{spent:.1f} s",
        )


def bridge_rows(url: str, folder: Path, region: str, touched: int) -> Iterator[Line]:
    """Measure requests and bytes for 1 kb through a fresh mount, and bytes of columns that an htsget client gets."""
    dataset, mountpoint = f"{url}/deep.bams3", folder / "mnt"
    client = ["samtools", "view", "-c", mountpoint / "deep.bam", region]
    log = log_of("mount", dataset, mountpoint, "--", *client)
    opened = [line for line in log if not line[1].endswith(".chunk")]
    yield (
        "1 kb through a mount: requests of chunks, and others",
        "≤ 6 in all",
        f"{len(log) - len(opened)} + {len(opened)}",
    )
    received = sum(int(line[3]) for line in log if line not in opened)
    yield "… bytes of chunks over those of the row groups touched", "≤ 2", f"{received / touched:.2f}"
    with tempfile.NamedTemporaryFile() as log_file:
        environment = os.environ | {"BAMS3_LOG_REQUESTS": log_file.name}
        command = [sys.executable, "-m", "bams3", "serve", "--port", "0", dataset]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as server:
            assert server.stdout is not None
            here = server.stdout.readline().partition("/:")[0]
            with urlopen(f"{here}/reads/deep?fields=POS,CIGAR&tags=") as answer:
                parts = [part["url"] for part in json.load(answer)["htsget"]["urls"]]
            for part in parts:
                with urlopen(part) as answer:
                    while answer.read(1 << 20):
                        pass
            server.terminate()
        received = sum(int(line.split("\t")[3]) for line in Path(log_file.name).read_text().splitlines())
    size = size_of(folder / "www/deep.bams3")
    yield "htsget, fields=POS,CIGAR: of the dataset's bytes", "≤ 10 %", f"{100 * received / size:.1f} %"


def coverage_rows(url: str, folder: Path, name: str, reads: str, floor: str) -> Iterator[Line]:
    """Measure requests and bytes for the coverage of a dataset."""
    from bams3.dataset.reader import DatasetReader

    manifest = DatasetReader(folder / f"www/{name}.bams3").manifest
    log = log_of("coverage", "-n", f"{url}/{name}.bams3", "-o", folder / "out")
    received = sum(int(line[3]) for line in log)
    yield (
        f"coverage, {reads}: requests",
        f"≤ {manifest.chunks + 3} (chunks + 3)",
        str(len(log)),
    )
    yield "… of the dataset's bytes", floor, f"{100 * received / manifest.bytes:.1f} %"


def window_row(url: str, folder: Path) -> Line:
    """Measure how many bytes of a BAM are read to convert a window, in addition to those that its index lists."""
    from bams3.sources.bam import open_source
    from bams3.sources.files import input_at
    from bams3.sources.index import Index

    bam, start = folder / "www/deep.bam", 4 << 20
    with open_source(str(bam)) as source:
        references = source.header.references
    chunks = Index.open(input_at(str(bam)), None, n_ref=len(references)).chunks_for(
        0, start, start + (1 << 20)
    )
    size = sum((end >> 16) - (begin >> 16) for begin, end in chunks)
    window = f"{references[0][0]}:{start + 1}-{start + (1 << 20)}"
    log = log_of("convert", "--window", window, f"{url}/deep.bam", folder / "window.bams3")
    received = sum(int(line[3]) for line in log if ".bai" not in line[1])
    return (
        "a window of a BAM, converted: bytes beyond the index's range",
        "≤ 128 KB (2^17 bytes)",
        f"{(received - size) / 1024:.0f} KB",
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
    else:
        main()
