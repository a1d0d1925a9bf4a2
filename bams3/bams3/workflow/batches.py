"""The batches that a sample is handled in: `000001-of-000004`, …"""

from collections.abc import Mapping
from typing import Any

from bams3.workflow.places import Places
from bams3.workflow.samples import Row, bytes_of


def batches_of(row: Row, settings: Mapping[str, Any], windows: int, places: Places) -> list[str]:
    """The batches of a sample; `settings`: `convert` in the configuration; `windows`: how many there are.

    They depend on these and on this one sample alone: so others may come without its batches being others, and every
    job, which reads this, looks at its own sample.
    """
    wanted = settings["chunks_per_batch"]
    if wanted == "auto":
        target = settings["gigabytes_per_batch"] * 1e9
        count = -(-bytes_of(row, places) // target)
    else:
        count = -(-windows // wanted)
    count = min(max(int(count), 1), windows)
    return [f"{i + 1:06d}-of-{count:06d}" for i in range(count)]


def part_in_place(sample: str, batch: str, places: Places) -> Any:
    """What a batch leaves in a sample's dataset while it is converted, as `bams3 convert --batch` names it."""
    return places.result_in_place(f"<results>/datasets/{sample}.bams3/_parts/{batch}.json")


def batch_words(batch: str) -> str:
    """`i/n`, as the command line takes a batch."""
    number, count = batch.split("-of-")
    return f"{int(number)}/{int(count)}"
