"""Read all records of a file as Arrow record batches, one by one. Print their number and the sum of their FLAGs.

python benchmarks/harness/arrow_stream.py bams3|oxbow|polars-bio all|numbers FILE
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

NUMBERS = {"bams3": ["flag", "pos", "mapq"], "oxbow": ["flag", "pos", "mapq"]}
NUMBERS["polars-bio"] = ["flags", "start", "mapping_quality"]


def bams3(path: str, fields: list[str] | None) -> Iterator[Any]:
    """Yield the fields of SAM, without tags."""
    from bams3.select.schema import RECORD_FIELDS

    import bams3

    yield from bams3.open(path).to_batches(fields=fields or RECORD_FIELDS)


def oxbow(path: str, fields: list[str] | None) -> Iterator[Any]:
    """Yield the same from a BAM."""
    import oxbow

    yield from oxbow.from_bam(path, fields=fields or "*", tag_defs=[]).batches()


def polars_bio(path: str, fields: list[str] | None) -> Iterator[Any]:
    """Yield the same from a BAM, as one frame."""
    import polars_bio

    frame = polars_bio.scan_bam(path)
    yield (frame.select(fields) if fields else frame).collect()


READERS = {"bams3": bams3, "oxbow": oxbow, "polars-bio": polars_bio}


def main() -> None:
    """Run the command."""
    import pyarrow.compute

    who, what, path = sys.argv[1:]
    fields = NUMBERS[who] if what == "numbers" else None
    records = flags = 0
    for batch in READERS[who](path, fields):
        column = batch["flags"].to_arrow() if who == "polars-bio" else pyarrow.array(batch["flag"])
        records += len(column)
        flags += pyarrow.compute.sum(column).as_py() or 0
    print(json.dumps({"records": records, "flags": flags}))


if __name__ == "__main__":
    main()
