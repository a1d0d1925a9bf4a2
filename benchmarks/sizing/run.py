"""Measurements from which users choose a chunk size and a number of workers; docs/guide.md shows the results.

    python benchmarks/sizing/run.py            # simulates 6 million reads the first time, then takes ten minutes
    python benchmarks/sizing/run.py latency    # only this table; the others are sizes and memory

The tables are written to standard output and to results/DATE-NAME.md. Only the times require a quiet machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "tests")]

from harness.data import Alignments, simulated  # noqa: E402
from harness.process import BAMS3, Command, measure, remove, run, size  # noqa: E402
from harness.remote import ROUNDS, bams3, delayed, log_of  # noqa: E402
from harness.table import processor, system  # noqa: E402
from servers import moto, nginx  # noqa: E402

SIZES = ("256K", "512K", "1M", "2M", "4M", "8M")
REGION = "chr1:2000000-2000999"
GENOME = 3_100_000_000  # bp, of a human
LATENCY = 0.02  # seconds
WORKERS = (1, 8, 16)

Line = Sequence[str]


def usual() -> Alignments:
    """Return 30x of two contigs, each as long as the largest window (8 Mb)."""
    return simulated("hiseq", 3_355_443, contigs=1)


def peak(*words: object) -> float:
    """Return the peak resident memory of a bams3 command, in MB; its standard output is discarded."""
    return run(Command([BAMS3, *map(str, words)])).peak


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """Context manager: start an S3 server, point the environment variables to it, and yield the URI of a bucket."""
    with moto(folder) as url:
        os.environ |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT")).close()
        yield "s3://bucket"


def sizes(folder: Path) -> Iterator[Line]:
    """What the chunk size changes"""
    yield (
        "chunk size", "chunks", "jobs for a human genome", "dataset, MB", "PUT", "GET, 1 kb", "KB, 1 kb",
        "GET, coverage", "peak of convert, MB", "peak of query, MB",
    )  # fmt: skip
    bam, dataset = usual().bam, folder / "here.bams3"
    with s3(folder) as bucket:
        for each in SIZES:
            remote = f"{bucket}/{each}.bams3"
            convert = ("convert", "--workers", "1", "--chunk-size", each, bam)
            converted = peak(*convert, dataset)
            put = log_of(*convert, remote)
            query = log_of("query", remote, REGION)
            coverage = log_of("coverage", "-n", remote, "-o", folder / "out")
            chunks = len(bams3("chunks", dataset).splitlines())
            bases = int(each[:-1]) << (10 if each.endswith("K") else 20)
            yield (
                each, f"{chunks}", f"{-(-GENOME // bases):,}", f"{size(dataset) / 1e6:.1f}",
                f"{sum(line[0] == 'PUT' for line in put)}", f"{len(query)}",
                f"{sum(int(line[3]) for line in query) / 1e3:.0f}", f"{len(coverage)}", f"{converted:.0f}",
                f"{peak('query', '--workers', 1, dataset, REGION):.0f}",
            )  # fmt: skip
            remove(dataset)


def latency(folder: Path) -> Iterator[Line]:
    """Time of a query of 1 kb by chunk size, of a process that starts and ends"""
    yield ("chunk size", "on disk, CPU ms", "on disk, ms", f"{1e3 * LATENCY:.0f} ms a request, ms")
    here = folder / "www"
    here.mkdir()
    for path in (folder, here):
        path.chmod(0o755)
    with nginx(folder, here) as url, delayed(url, LATENCY) as slow:
        for each in SIZES:
            dataset = here / f"{each}.bams3"
            bams3("convert", "--chunk-size", each, usual().bam, dataset)
            near, far = (
                Command([BAMS3, "query", dataset, REGION]),
                Command([BAMS3, "query", f"{slow}/{dataset.name}", REGION]),
            )
            local, remote = measure(lambda _, both=(near, far): both, ROUNDS)
            yield each, f"{1e3 * local.cpu:.0f}", f"{1e3 * local.wall:.0f}", f"{1e3 * remote.wall:.0f}"
            remove(dataset)


def memory(folder: Path) -> Iterator[Line]:
    """Peak memory of commands by number of workers"""
    yield ("command", "data", *(f"workers: {count}, MB" for count in WORKERS), "MB a worker")
    kinds = {
        "30x": usual(),
        "300x": simulated("hiseq", 2_400_000, 300),
        "long reads": simulated("long", 60_000, 30, 10_000),
    }
    for kind, alignments in kinds.items():
        dataset = folder / f"{alignments.bam.stem}.bams3"
        bams3("convert", alignments.bam, dataset)
        chunk = max((dataset / "data").rglob("*.chunk"), key=lambda path: path.stat().st_size)
        bed = folder / "regions.bed"
        bed.write_text("".join(f"chr1\t{start}\t{start + 5000}\n" for start in range(100_000, 900_000, 8000)))
        out = folder / "out"
        commands = {
            "convert": ("convert", alignments.bam, out),
            "query, to BAM": ("query", "-1", "-o", out, dataset),
            "count": ("count", "--regions", bed, "-e", "[NM] < 3", dataset),
            "map": ("map", dataset, "--", "wc", "-l"),
            "verify": ("verify", dataset),
            "query of one chunk, to BAM": ("query", "-1", "-o", out, chunk),
        }
        for name, (command, *words) in commands.items():
            peaks = []
            for count in WORKERS:
                remove(out)
                peaks.append(peak(command, "--workers", count, *words))
            remove(out)
            added = (peaks[-1] - peaks[0]) / (WORKERS[-1] - WORKERS[0])
            yield (name, kind, *(f"{each:.0f}" for each in peaks), f"{added:.0f}")
        alone = peak("coverage", dataset, "-o", out)
        yield ("coverage", kind, f"{alone:.0f}", "one thread", "", "")
        remove(dataset)


TABLES = {"sizes": sizes, "memory": memory, "latency": latency}


def main() -> None:
    """Print the tables and save them to files."""
    head = f"{processor()}, {os.cpu_count()} cores; {system()}; times are medians of {ROUNDS} runs."
    for name in sys.argv[1:] or TABLES:
        title = f"# {TABLES[name].__doc__}, {date.today():%Y-%m-%d}"
        text = [title, "", f"{head} Load {os.getloadavg()[0]:.2f} at the start.", ""]
        with tempfile.TemporaryDirectory() as scratch:
            for line in TABLES[name](Path(scratch)):
                text.append(f"| {' | '.join(line)} |")
                print(text[-1], file=sys.stderr, flush=True)
        text.insert(5, "|---" * text[4].count(" | ") + "|---|")
        (BENCHMARKS / f"results/{date.today():%Y-%m-%d}-{name}.md").write_text("\n".join([*text, ""]))
        print(*text, "", sep="\n")


if __name__ == "__main__":
    main()
