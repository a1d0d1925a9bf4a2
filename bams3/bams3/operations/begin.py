"""Prepare the destination of a conversion: refuse foreign files, and remove an old dataset if the user asked for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bams3.dataset import layout
from bams3.dataset.destination import (
    Destination,
    beside,
    check_joinable,
    check_removable,
    remove,
    restore,
    survey,
    switch,
)
from bams3.dataset.own import is_part
from bams3.errors import Bams3Error, DatasetError
from bams3.storage import Storage, is_remote, open_storage


def prepare(storage: Storage, part: str | None, overwrite: bool, resume: bool) -> Destination:
    """Prepare a destination for a dataset, or for a part of one, and return what is there.

    With `overwrite`, the files of an existing dataset are removed. Raises DatasetError, before anything changes, if
    the destination holds something that may not be replaced or continued.
    """
    if not is_remote(storage.root):
        restore(storage.root)
    destination = survey(storage)
    if destination.complete and not overwrite:
        raise DatasetError(f"{storage.root} is a complete dataset; use --overwrite to replace it")
    if part is None and not overwrite and not resume and destination.objects:
        raise DatasetError(
            f"{storage.root} is not empty; use --overwrite to replace an existing dataset, --resume to continue an "
            "interrupted conversion, or choose another path"
        )
    if part is None and overwrite:
        check_removable(destination)
        if not destination.complete or is_remote(storage.root):
            remove(destination)
            destination.objects.clear()
        return destination
    check_joinable(destination)
    if part is None:
        return destination
    if f"{layout.PARTS}/{part}.json" in destination.objects and not (overwrite or resume):
        raise DatasetError(
            f"{storage.root}: this part exists; use --resume or --overwrite to convert it again"
        )
    if overwrite:
        _take_back(destination, part)
    return destination


def _take_back(destination: Destination, part: str) -> None:
    """Remove what blocks a part from being written again: its own record, and parts of another number of batches.

    All batches may do this at the same time, since none removes what another batch of the same number has written.
    """
    _, of, count = part.rpartition("-of-")
    destination.storage.delete_all(
        path
        for path in destination.objects
        if is_part(path)
        and (path == f"{layout.PARTS}/{part}.json" or (of and not path.endswith(f"{of}{count}.json")))
    )


@contextmanager
def successor(storage: Storage) -> Iterator[Storage]:
    """Context manager: yield a destination for a new dataset that replaces the existing one once it is complete."""
    new = open_storage(beside(storage.root, "new"))
    remove(survey(new))
    try:
        yield new
    except BaseException:
        with suppress(Bams3Error, OSError):  # the original error is the one to report
            remove(survey(new))
            os.rmdir(new.root)
        raise
    switch(storage.root)
