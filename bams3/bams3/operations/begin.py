"""Prepare the destination of a conversion: refuse foreign files, and remove an old dataset if the user asked for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bams3.dataset import layout
from bams3.dataset.own import is_part
from bams3.dataset.place import (
    Place,
    beside,
    check_joinable,
    check_removable,
    remove,
    restore,
    survey,
    switch,
)
from bams3.errors import Bams3Error, DatasetError
from bams3.storage import Storage, is_remote, open_storage


def prepare(storage: Storage, part: str | None, overwrite: bool, resume: bool) -> Place:
    """Prepare a place for a dataset, or for a part of one, and return what is there.

    With `overwrite`, the files of an existing dataset are removed. Raises DatasetError, before anything changes, if
    the place holds something that may not be replaced or continued.
    """
    if not is_remote(storage.root):
        restore(storage.root)
    place = survey(storage)
    if place.complete and not overwrite:
        raise DatasetError(f"{storage.root} is a complete dataset; use --overwrite to replace it")
    if part is None and not overwrite and not resume and place.objects:
        raise DatasetError(
            f"{storage.root} is not empty; use --overwrite to replace an existing dataset, --resume to continue an "
            "interrupted conversion, or choose another place"
        )
    if part is None and overwrite:
        check_removable(place)
        if not place.complete or is_remote(storage.root):
            remove(place)
            place.objects.clear()
        return place
    check_joinable(place)
    if part is None:
        return place
    if f"{layout.PARTS}/{part}.json" in place.objects and not (overwrite or resume):
        raise DatasetError(
            f"{storage.root}: this part exists; use --resume or --overwrite to convert it again"
        )
    if overwrite:
        _take_back(place, part)
    return place


def _take_back(place: Place, part: str) -> None:
    """Remove what blocks a part from being written again: its own record, and parts of another number of batches.

    All batches may do this at the same time, since none removes what another batch of the same number has written.
    """
    _, of, count = part.rpartition("-of-")
    place.storage.delete_all(
        path
        for path in place.objects
        if is_part(path)
        and (path == f"{layout.PARTS}/{part}.json" or (of and not path.endswith(f"{of}{count}.json")))
    )


@contextmanager
def successor(storage: Storage) -> Iterator[Storage]:
    """Context manager: yield a place for a new dataset that replaces the existing one once it is complete."""
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
