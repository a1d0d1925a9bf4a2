"""bams3 and its peers, measured side by side: one table, to standard output and benchmarks/results/DATE.md.

    python benchmarks/run.py            # all of it, with 2.4 M reads: about half an hour, the first time
    python benchmarks/run.py --quick    # 200 k reads, one round; only to standard output

README.md says what is measured, and how.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from harness import cases
from harness.data import BENCHMARKS, DATA, given, simulated
from harness.process import CommandError
from harness.table import Row, machine, markdown

READS, QUICK_READS = 2_400_000, 200_000
ROUNDS, QUICK_ROUNDS = 5, 1


def rows(bench: cases.Bench, reads: int) -> Iterator[Row]:
    """All rows of the table."""
    profiles = [simulated(profile, reads) for profile in ("hiseq", "novaseq")]
    hiseq = profiles[0]
    for alignments in profiles:
        yield from cases.convert(bench, alignments)
    yield from cases.memory(bench, simulated("hiseq", reads // 4), hiseq)
    for alignments in profiles:
        yield from cases.coverage(bench, alignments)
        yield from cases.bytes_read(bench, alignments)
    for case in (cases.count, cases.to_bam, cases.stats):
        yield from case(bench, hiseq)
    yield from cases.start_up(bench)
    for alignments in given():
        yield from cases.size_of(bench, alignments)
        yield from cases.bytes_read(bench, alignments)


def table(reads: int, rounds: int) -> str:
    """Measure everything; a line on standard error for each row tells how far it is."""
    described = machine(cases.PEERS, rounds)
    DATA.mkdir(exist_ok=True)
    made = []
    with tempfile.TemporaryDirectory(dir=DATA) as scratch:
        for row in rows(cases.Bench(rounds, Path(scratch)), reads):
            print(*filter(None, row.cells()), sep="  ", file=sys.stderr)
            made.append(row)
    return f"{described}\n{markdown(made)}"


def main() -> int:
    """Returns the exit code: 1 if bams3 and a peer disagree, or a command fails."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--quick", action="store_true", help="200 k reads, one round; leaves no file")
    quick = options.parse_args().quick
    try:
        text = table(QUICK_READS, QUICK_ROUNDS) if quick else table(READS, ROUNDS)
    except (cases.MismatchError, CommandError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    if not quick:
        results = BENCHMARKS / "results" / f"{date.today():%Y-%m-%d}.md"
        results.parent.mkdir(exist_ok=True)
        results.write_text(f"# Benchmarks, {date.today():%Y-%m-%d}\n\n{text}")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
