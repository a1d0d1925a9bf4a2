"""A report on the alignment files of folders: see `--help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from corpora.judge import files_of, judge


def main() -> int:
    """Returns the exit code: 1 if samtools and bams3 disagree on a file."""
    options = argparse.ArgumentParser(
        prog="python -m corpora",
        description="What samtools reads comes back equal; what it refuses is refused.",
    )
    options.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    given = options.parse_args()
    found: Counter[str] = Counter()
    wrong = 0
    for place in given.folders:
        for path in files_of(place):
            with tempfile.TemporaryDirectory() as folder:
                verdict = judge(path, Path(folder))
            found[verdict.kind] += 1
            if not verdict.is_well:
                wrong += 1
                print(f"{path.relative_to(place)}: {verdict.kind}: {verdict.why}", flush=True)
    print(
        f"{found.total():,} files: " + ", ".join(f"{count:,} {kind}" for kind, count in found.most_common())
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
