"""Beginning a conversion: what is in the way is refused, or makes room if it is a dataset and that is asked for."""

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
    """What is at a place where a dataset, or a part of one, is to be written; what stands in the way is removed, if it
    is a dataset's and asked for. Raises DatasetError, before anything is changed, if that may not be."""
    if not is_remote(storage.root):
        restore(storage.root)
    place = survey(storage)
    if place.complete and not overwrite:
        raise DatasetError(f"{storage.root} is a complete dataset; use --overwrite to replace it")
    if part is None and not overwrite and not resume and place.objects:
        raise DatasetError(
            f"{storage.root} is not empty; use --overwrite to replace a dataset that is there, or --resume to go on "
            "with one, or choose another place"
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
            f"{storage.root}: this part is there; use --resume or --overwrite to convert it again"
        )
    if overwrite:
        _take_back(place, part)
    return place


def _take_back(place: Place, part: str) -> None:
    """Let a part be written again, whatever else of the same batches is there or is being written.

    All batches may do this at the same time: none takes what another of as many has written. Parts of another number
    of batches go.
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
    """Context: where to write the dataset that takes the place of another one once it is whole."""
    new = open_storage(beside(storage.root, "new"))
    remove(survey(new))
    try:
        yield new
    except BaseException:
        with suppress(Bams3Error, OSError):  # what went wrong is told
            remove(survey(new))
            os.rmdir(new.root)
        raise
    switch(storage.root)
