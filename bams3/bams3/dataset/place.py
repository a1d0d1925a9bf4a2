"""Whose a place is: of what is below a dataset's root, only what is the dataset's own is replaced or deleted.

All else is foreign: it is never touched, and where a dataset would be written it is a refusal that names it.
"""

import os
from contextlib import suppress
from dataclasses import asdict
from typing import NamedTuple

from bams3.dataset import layout
from bams3.dataset.manifest import Manifest, sealed
from bams3.dataset.own import PLAN, Own, is_former
from bams3.dataset.parts import Plan, stored_plan
from bams3.errors import DatasetError, FormatError
from bams3.storage import Storage

TRIES = 5
_FOLDERS = (f"{layout.DATA}/", f"{layout.PARTS}/", f"{layout.INDEX.partition('/')[0]}/")


class Place(NamedTuple):
    """What is at the root of a storage: `objects` (path → bytes), the `plans` of the dataset that they are of (the
    valid one first; none: there is no dataset), and whether that is `complete`."""

    storage: Storage
    objects: dict[str, int]
    plans: list[Plan]
    complete: bool

    @property
    def own(self) -> Own:
        """What is the dataset's own."""
        return Own(self.plans)

    def foreign(self) -> list[str]:
        """The paths that are not the dataset's."""
        own = self.own
        return [path for path in self.objects if not (self.plans and own.has(path))]


def survey(storage: Storage) -> Place:
    """What is at a place. Raises DatasetError, naming it, for a symbolic link in it, and for a manifest or a plan that
    can't be read."""
    for _ in range(TRIES):
        with suppress(FileNotFoundError):  # another writer has removed what was listed
            return _survey(storage)
    raise DatasetError(f"{storage.root}: other writers keep changing it; wait for them")


def _survey(storage: Storage) -> Place:
    for path in storage.links():
        raise DatasetError(
            f"{storage.root}/{path}: a symbolic link, which no dataset has; remove it, or choose another place"
        )
    objects = storage.sizes()
    plans = []
    try:
        if layout.METADATA in objects:
            plans.append(plan_of(Manifest.from_bytes(storage.get(layout.METADATA), storage.root)))
        if PLAN in objects:
            plans.append(stored_plan(storage))
        plans += [stored_plan(storage, path) for path in objects if is_former(path)]
    except (FormatError, DatasetError) as error:
        raise DatasetError(
            f"{error}; nothing is written, since what is there may be somebody's: remove it yourself, or choose "
            "another place"
        ) from None
    return Place(storage, objects, plans, layout.METADATA in objects)


def plan_of(manifest: Manifest) -> Plan:
    """The plan that a dataset was made by."""
    return Plan(
        manifest.header_id, manifest.references, manifest.chunk_size, manifest.level, manifest.header_bytes,
        manifest.header_crc32,
    )  # fmt: skip


def check_joinable(place: Place) -> None:
    """Raise DatasetError unless a dataset may be begun or gone on with: the place is empty, or holds one, and in that
    one's folders nothing that is foreign."""
    foreign = place.foreign()
    if place.plans:
        foreign = [path for path in foreign if path.startswith(_FOLDERS)]
    if foreign:
        raise DatasetError(
            f"{place.storage.root}: nothing is written, since {foreign[0]}, which is no dataset's, is there; move it "
            "away, or choose another place"
        )


def check_removable(place: Place) -> None:
    """Raise DatasetError, naming it, if there is anything that is not of a dataset."""
    if foreign := place.foreign() or place.own.not_chunks(place.storage, place.objects):
        raise DatasetError(
            f"{place.storage.root}: not overwritten, since {foreign[0]} in it is not part of a dataset; move it away, "
            "or choose another place"
        )


def remove(place: Place) -> None:
    """Remove a dataset, the manifest first. Raises DatasetError, before anything is removed, if there is something that
    is not its own. Stopped in between, it can be removed again: the plan goes last."""
    check_removable(place)
    if not place.plans:
        return
    if PLAN not in place.objects:
        place.storage.put(PLAN, sealed(asdict(place.plans[0])))
    place.storage.delete(layout.METADATA)
    place.storage.delete_all(path for path in place.objects if path not in (layout.METADATA, PLAN))
    place.storage.delete_incomplete(place.own.has)
    place.storage.delete_all([PLAN])


def beside(root: str, role: str) -> str:
    """A path for a dataset's successor (`new`) or predecessor (`old`) beside it, where a rename takes no time."""
    folder, name = os.path.split(os.path.realpath(root))
    return os.path.join(folder, f".{name}.{role}")


def switch(root: str) -> None:
    """Put the dataset that was written `beside` a root in its place, and remove the one that was there.

    Of the two renames a kill may leave only the first: `restore` undoes it.
    """
    place, old = os.path.realpath(root), beside(root, "old")
    os.rename(place, old)
    try:
        os.rename(beside(root, "new"), place)
    except BaseException:
        os.rename(old, place)
        raise
    _clear(old)


def restore(root: str) -> None:
    """What a run that was killed while it switched datasets has left: the old one goes back to its place, or away."""
    old = beside(root, "old")
    if not os.path.isdir(old):
        return
    if os.path.lexists(os.path.realpath(root)):
        _clear(old)
    else:
        os.rename(old, os.path.realpath(root))


def _clear(folder: str) -> None:
    """Remove a dataset and its folder."""
    from bams3.storage import open_storage

    remove(survey(open_storage(folder)))
    with suppress(OSError):  # there are empty folders of somebody's
        os.rmdir(folder)
