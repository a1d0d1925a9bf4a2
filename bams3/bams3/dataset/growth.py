"""Appends in an object store: an append writes objects of a new generation, and commits with one conditional write.

Until the commit, readers see the old dataset, and no object that belongs to it changes. After the commit, objects that
existed before it and that the new manifest does not name can never become part of the dataset again: another append
that is running began with the old manifest, so its commit will be refused. These objects are removed after the commit,
including those of appends that were killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bams3.dataset import layout
from bams3.dataset.commit import tidying
from bams3.dataset.destination import survey
from bams3.dataset.generations import growing, growth_path, path_in, split_path
from bams3.dataset.manifest import Manifest
from bams3.dataset.packing import stored_header
from bams3.dataset.parts import Part, assembled
from bams3.dataset.plan import Plan
from bams3.dataset.reader import DatasetReader
from bams3.errors import Bams3Error, DatasetError, message_of

if TYPE_CHECKING:
    from bams3.storage.remote import RemoteStorage


class Growth:
    """A running append. `storage`: the storage of the dataset. `there`: what it held when the append began."""

    def __init__(self, old: DatasetReader, plan: Plan) -> None:
        self.storage: RemoteStorage = old.storage  # type: ignore[assignment]
        self.there = survey(self.storage)
        self._old, self._plan = old, plan
        self._unfinished = {name for path in self.there.objects if (name := growing(path))}
        self.is_named = False
        """Whether there may be a manifest that names the objects of this append."""

    def begin(self, header: bytes) -> None:
        """Write the plan, and a header with this text."""
        storage, plan, path = self.storage, self._plan, growth_path(self._plan.generation)
        storage.put(path, plan.to_bytes())
        self._on_condition = storage.keeps_conditions(path)
        storage.put(path_in(layout.HEADER, plan.generation), stored_header(header, plan.version))

    def commit(self, parts: Sequence[Part]) -> Manifest:
        """Check that the parts form a complete dataset, and replace the old dataset with it.

        Raises DatasetError if the parts are incomplete, or if the old dataset has changed in the meantime.
        """
        storage = self.storage
        try:
            index, manifest, _ = assembled(storage, self._plan, parts)
        except DatasetError:
            self._old.check_current()
            raise
        documents = [path_in(path, manifest.generation) for path in (layout.INDEX, layout.HEADER)]
        storage.put(documents[0], index)
        self.is_named = True
        try:
            storage.put_over(
                layout.METADATA,
                self._old.stored_manifest,
                manifest.to_bytes(),
                on_condition=self._on_condition,
            )
        except (FileExistsError, FileNotFoundError):
            self.is_named = False
            raise DatasetError(
                f"{storage.root}: another process has changed it in the meantime, so nothing was appended; try again"
            ) from None
        except OSError as error:
            raise DatasetError(
                f"{storage.root}: it is not known whether the reads were appended; compare bams3 stats, then try again "
                f"if they were not: {message_of(error)}"
            ) from error
        with tidying(storage.root):
            named = {*documents, *(entry.path for part in parts for entry in part.chunks)}
            storage.delete_all(self._obsolete(named))
            ended = self._unfinished if self._on_condition else {split_path(path)[1] for path in named}
            self._remove({*self._unfinished & ended, self._plan.generation}, ())
        return manifest

    def undo(self) -> None:
        """Remove what was written."""
        self._remove({self._plan.generation}, self.storage.list())

    def _obsolete(self, named: set[str]) -> list[str]:
        """Return the objects of the dataset that existed when the append began, except those named here."""
        old, own = self._old, self.there.own
        former = {old.index_path, old.header_path, *(entry.path for entry in old.objects)}
        paths = {path for path in self.there.objects if own.has(path) and not path.startswith(layout.PARTS)}
        paths -= {layout.METADATA, *named}
        # Another append may have committed at the same time, and need these objects.
        if not self._on_condition:
            paths = {path for path in paths - former if split_path(path)[1] not in self._unfinished}
        return sorted(paths - {*own.not_chunks(self.storage, paths - former)})

    def _remove(self, generations: set[str], paths: Iterable[str]) -> None:
        """Remove the objects of these generations: those among the paths, remains of killed uploads, and the plans."""
        storage = self.storage
        storage.delete_all([path for path in paths if split_path(path)[1] in generations])
        storage.delete_incomplete(lambda path: split_path(path)[1] in generations)
        storage.delete_all(map(growth_path, generations))


@contextmanager
def growth(old: DatasetReader, plan: Plan, header: bytes) -> Iterator[Growth]:
    """Context manager: begin an append to a dataset in an object store.

    If the append fails before it may have been committed, the objects that it wrote are removed.
    """
    grows = Growth(old, plan)
    try:
        grows.begin(header)
        yield grows
    except BaseException:
        if not grows.is_named:
            with suppress(Bams3Error, OSError):  # the original error is the one to report
                grows.undo()
        raise
