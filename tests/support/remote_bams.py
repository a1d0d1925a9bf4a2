"""A BAM of many portions, and files in a bucket."""

import random
from pathlib import Path

import hostile
from servers.fixtures import s3_client

CONTIGS = [("big", 3 << 20), *((f"decoy{i}", 5000) for i in range(60))]


def made_records() -> list[bytes]:
    """Of some 200 bytes that hardly compress: 3 MB on "big", 14 KB on each other contig, many with no position."""
    chance = random.Random(4)
    places = [(0, pos) for pos in range(0, 3 << 20, 200)]
    places += [(ref, pos) for ref in range(1, len(CONTIGS)) for pos in range(0, 4900, 70)]
    places += [(-1, -1)] * 2000
    noise = [hostile.tag("XX", "Z", bytes(chance.choices(range(33, 127), k=200))) for _ in places]
    placed, unplaced = {"flag": 0, "cigar": [(1, 0)]}, {"flag": 4}
    return [
        hostile.record(
            ref=ref, pos=pos, name=b"%d" % number, tags=[noise[number]], **(placed if ref >= 0 else unplaced)
        )
        for number, (ref, pos) in enumerate(places)
    ]


def upload(bucket: str, *files: Path, name: str = "") -> str:
    """The URI of the first of the files, once all are in a bucket."""
    for path in files:
        s3_client().put_object(Bucket=bucket[5:], Key=f"in/{name or path.name}", Body=path.read_bytes())
    return f"{bucket}/in/{name or files[0].name}"


def index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.bai")
