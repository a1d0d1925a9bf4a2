"""Destinations of datasets: only objects that belong to a dataset are ever replaced or deleted.

All other objects are foreign. They are never touched, and if a dataset is to be written there, an error names them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from bams3.dataset import layout
from bams3.dataset.commit import tidying
from bams3.dataset.generations import growing
from bams3.dataset.manifest import IN_GENERATIONS, VERSION, Manifest
from bams3.dataset.own import Own, is_former
from bams3.dataset.plan import Plan, stored_plan
from bams3.errors import DatasetError, FormatError
from bams3.storage import Storage
from bams3.storage.beside import exchange, sync_folder

TRIES = 5
_FOLDERS = (f"{layout.DATA}/", f"{layout.PARTS}/", f"{layout.INDEX.partition('/')[0]}/")


class Destination(NamedTuple):
    """What there is at the root of a storage.

    Attributes
    ----------
    objects
        Sizes of the objects in bytes, by path.
    plans
        The plans of the dataset to which the objects belong, the valid one first. Without plans, there is no dataset.
    complete
        Whether the dataset is complete, that is, has a manifest.
    """

    storage: Storage
    objects: dict[str, int]
    plans: list[Plan]
    complete: bool

    @property
    def own(self) -> Own:
        """The rule that decides which objects belong to the dataset."""
        return Own(self.plans)

    def foreign(self) -> list[str]:
        """Return the paths of objects that do not belong to the dataset."""
        own = self.own
        return [path for path in self.objects if not (self.plans and own.has(path))]


def survey(storage: Storage) -> Destination:
    """Return what there is at a destination.

    Raises DatasetError, which names the object, for a symbolic link, and for a manifest or a plan that can't be read.
    """
    for _ in range(TRIES):
        with suppress(FileNotFoundError):  # another process has removed what was listed
            return _survey(storage)
    raise DatasetError(f"{storage.root}: other processes keep changing it; wait until they end")


def _survey(storage: Storage) -> Destination:
    if os.path.islink(storage.root) and not os.path.exists(storage.root):
        raise DatasetError(
            f"{storage.root}: a symbolic link to {os.readlink(storage.root)}, which does not exist; create "
            "that folder, or remove the link"
        )
    check_no_links(storage)
    objects = storage.sizes()
    plans = []
    try:
        if layout.METADATA in objects:
            plans.append(plan_of(Manifest.from_bytes(storage.get(layout.METADATA), storage.root)))
        if layout.PLAN in objects:
            plans.append(stored_plan(storage))
        plans += [stored_plan(storage, path) for path in objects if is_former(path) or growing(path)]
    except (FormatError, DatasetError) as error:
        raise DatasetError(
            f"{error}; nothing has been written, because the existing files may belong to someone else: "
            "remove them, or choose another path"
        ) from None
    return Destination(storage, objects, plans, layout.METADATA in objects)


def check_no_links(storage: Storage) -> None:
    """Raise DatasetError if there is a symbolic link, through which files elsewhere could be replaced."""
    for path in storage.links():
        raise DatasetError(
            f"{storage.root}/{path}: a symbolic link; datasets have none; remove it or choose another path"
        )


def plan_of(manifest: Manifest) -> Plan:
    """Return the plan by which a dataset was written, without its generation."""
    version = VERSION if manifest.version == IN_GENERATIONS else manifest.version
    return Plan(
        manifest.header_id, manifest.references, manifest.chunk_size, manifest.level, manifest.header_bytes,
        manifest.header_crc32, version, header_sha256=manifest.header_sha256,
        earlier_header_ids=manifest.earlier_header_ids,
    )  # fmt: skip


def of_lost_manifest(destination: Destination, plan: Plan) -> Destination:
    """Return a destination whose manifest may have been deleted, with this plan if it holds the dataset of the plan.

    It does if all paths in the folders of datasets fit the plan, and if all chunks name the plan's header.
    """
    own, objects = Own([plan]), destination.objects
    held = [path for path in objects if path.startswith(_FOLDERS)]
    if destination.plans or not any(map(own.has_chunk, held)) or not all(map(own.has, held)):
        return destination
    is_foreign = own.not_chunks(destination.storage, held)
    return destination if is_foreign else destination._replace(plans=[plan])


def check_joinable(destination: Destination) -> None:
    """Raise DatasetError unless a dataset may be begun or continued at the destination.

    The destination must be empty, or hold a dataset whose folders contain nothing foreign.
    """
    foreign = destination.foreign()
    _check_manifest_is_not_lost(destination)
    if destination.plans:
        foreign = [path for path in foreign if path.startswith(_FOLDERS)]
    if foreign:
        raise DatasetError(
            f"{destination.storage.root}: nothing has been written, because {foreign[0]} does not belong to a dataset; "
            "move it elsewhere, or choose another path"
        )


def check_removable(destination: Destination) -> None:
    """Raise DatasetError, which names the object, if an object does not belong to a dataset."""
    _check_manifest_is_not_lost(destination)
    if foreign := destination.foreign() or destination.own.not_chunks(
        destination.storage, destination.objects
    ):
        raise DatasetError(
            f"{destination.storage.root}: not overwritten, because {foreign[0]} in it does not belong to a dataset; "
            "move it elsewhere, or choose another path"
        )


def _check_manifest_is_not_lost(destination: Destination) -> None:
    """Raise DatasetError if the destination seems to hold a dataset, but has no document that lists the files of it."""
    if not destination.plans and destination.objects.keys() & {layout.HEADER, layout.INDEX}:
        raise DatasetError(
            f"{destination.storage.root}: not overwritten, because {layout.METADATA}, which lists what belongs to the "
            "dataset, has been deleted; delete the rest of the dataset, too, or choose another path"
        )


def remove(destination: Destination) -> None:
    """Remove a dataset: the manifest first, and the plan last, so that an interrupted removal can be repeated.

    Raises DatasetError, before anything is removed, if an object does not belong to the dataset.
    """
    check_removable(destination)
    if not destination.plans:
        return
    if layout.PLAN not in destination.objects:
        destination.storage.put(layout.PLAN, destination.plans[0].to_bytes())
    destination.storage.delete(layout.METADATA)
    destination.storage.sync()  # no power cut may bring the manifest back once chunks are gone
    destination.storage.delete_all(
        path for path in destination.objects if path not in (layout.METADATA, layout.PLAN)
    )
    destination.storage.delete_incomplete(destination.own.has)
    destination.storage.delete_all([layout.PLAN])


def beside(root: str, role: str) -> str:
    """Return a path next to a dataset, for its successor (`new`) or predecessor (`old`), so that renaming is fast."""
    folder, name = os.path.split(os.path.realpath(root))
    return os.path.join(folder, f".{name}.{role}")


def switch(root: str) -> None:
    """Replace the dataset at a root with the one that was written `beside` it, and remove the previous one.

    If the file system can't exchange two folders atomically, they are renamed one after the other. A process that is
    killed in between leaves only the first rename done; `restore` undoes it.
    """
    destination, new, old = os.path.realpath(root), beside(root, "new"), beside(root, "old")
    if exchange(new, destination):
        old = new
    else:
        if os.path.isdir(old):  # it has files that NFS keeps because a process still reads them
            os.rename(old, f"{old}-{os.urandom(6).hex()}")
        os.rename(destination, old)
        try:
            os.rename(new, destination)
        except BaseException:
            os.rename(old, destination)
            raise
    with tidying(root):
        sync_folder(os.path.dirname(destination))
        _clear(old)


@contextmanager
def alone(root: str) -> Iterator[None]:
    """Context manager: lock a dataset on a file system. The lock ends with the process.

    Raises DatasetError if another process holds the lock, or has just replaced the dataset.
    """
    import fcntl

    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetError(
                f"{root}: another process is appending to it; wait until that has ended"
            ) from None
        except OSError:  # a file system without locks
            pass
        if not os.path.samestat(os.fstat(folder), os.stat(root)):
            raise DatasetError(f"{root}: another process has replaced it in the meantime; try again")
        yield
    finally:
        os.close(folder)


def restore(root: str) -> None:
    """Clean up after a run that was killed while it replaced a dataset: move the old one back, or remove it.

    Files of older datasets that NFS kept for readers are removed, too, once no process reads them.
    """
    import glob

    old = beside(root, "old")
    for kept in glob.glob(f"{glob.escape(old)}-{'[0-9a-f]' * 12}"):
        _clear(kept)
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
    for name in _FOLDERS:  # a killed process may have left them without files
        for empty, _, _ in os.walk(os.path.join(folder, name), topdown=False):
            with suppress(OSError):
                os.rmdir(empty)
    with suppress(OSError):  # it is not empty: it holds empty folders of the user
        os.rmdir(folder)
