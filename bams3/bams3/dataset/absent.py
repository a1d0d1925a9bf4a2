"""Error messages for missing data: a dataset that can't be opened, or an object that is missing from an open one."""

import os
from contextlib import suppress

from bams3.dataset import layout
from bams3.dataset.manifest import Manifest
from bams3.errors import Bams3Error, DatasetError
from bams3.storage import Storage, is_remote


def why_no_dataset(storage: Storage) -> str:
    """Return what is wrong with a place that has no manifest, and what the user can do."""
    if not (is_remote(storage.root) or os.path.lexists(storage.root)):
        return "no such file or directory; check the path"
    with suppress(OSError):  # then the general message must do
        if storage.exists(layout.PLAN):
            return (
                f"an incomplete dataset (no {layout.METADATA}); "
                "finish it with bams3 convert --resume, or bams3 merge"
            )
        if next(iter(storage.list(layout.DATA)), None) is not None:
            return (
                f"no {layout.METADATA}; if the dataset was complete, bams3 repair rebuilds it from the chunks"
            )
    return f"not a bams3 dataset (no {layout.METADATA}); give the directory that bams3 convert wrote"


def check_current(storage: Storage, uri: str, manifest: Manifest) -> None:
    """Raise DatasetError if the dataset that was opened with this manifest has been replaced, or has grown."""
    try:
        current = Manifest.from_bytes(storage.get(layout.METADATA), uri)
    except (Bams3Error, OSError):
        return
    if current != manifest:
        raise DatasetError(f"{uri}: the dataset was replaced after it had been opened; open it again")
