"""Begin a conversion: check the options and the destination, remove an old dataset if allowed, and write the plan."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from bams3.codec.streams import LEVELS
from bams3.dataset import layout
from bams3.dataset.destination import (
    Destination,
    beside,
    check_joinable,
    check_removable,
    of_lost_manifest,
    remove,
    restore,
    survey,
    switch,
)
from bams3.dataset.generations import is_document
from bams3.dataset.own import is_part
from bams3.dataset.plan import Plan, write_plan
from bams3.dataset.reader import DatasetReader
from bams3.duplicates.options import Markdup
from bams3.errors import Bams3Error, DatasetError, UsageError
from bams3.output.files import refuse_inner
from bams3.sources.messages import show
from bams3.storage import Storage, is_remote, open_storage, uri_of


@contextmanager
def begin(
    storage: Storage, plan: Plan, header: bytes, part: str | None, *, overwrite: bool, resume: bool
) -> Iterator[tuple[Storage, Destination, Plan]]:
    """Context manager: prepare the destination of a dataset, or of a part of one, and write the plan.

    Yields the storage to write to, what it held before, and the plan to use. If the yielded storage is not
    `storage`, the new dataset replaces the existing one at the end. Raises DatasetError and UsageError as `_prepare`
    does.
    """
    there = _prepare(storage, plan, part, overwrite, resume)
    replaces = overwrite and there.complete and part is None and not is_remote(storage.root)
    with _successor(storage) if replaces else nullcontext(storage) as storage:
        if replaces:
            there = survey(storage)
        again = overwrite and part is not None
        plan = write_plan(
            storage, plan, header, join=resume or part is not None,
            former=there.plans[0] if again and there.plans else None,
        )  # fmt: skip
        storage.delete(layout.METADATA)  # the dataset is incomplete while a part is written again
        outdated = (layout.PLAIN_HEADER, _file_of(part))
        storage.delete_all(path for path in there.objects if path in outdated or is_document(path))
        storage.sync()  # no power cut may bring the manifest back once chunks are replaced
        yield storage, there, plan


def _prepare(storage: Storage, plan: Plan, part: str | None, overwrite: bool, resume: bool) -> Destination:
    """Prepare a destination for a dataset, or for a part of one, and return what is there.

    A part may be written again: schedulers run tasks twice, also if the first run was successful.

    With `overwrite`, the files of an existing dataset are removed. This includes a dataset of the same alignments whose
    manifest was deleted, as Snakemake does before it runs a job again. Raises DatasetError, before anything changes, if
    the destination holds something that may not be replaced or continued, and UsageError if it lies in a dataset.
    """
    refuse_inner(storage.root)
    if not is_remote(storage.root):
        restore(storage.root)
    destination = survey(storage)
    if overwrite:
        destination = of_lost_manifest(destination, plan)
    if destination.complete and not overwrite:
        raise DatasetError(f"{storage.root} is a complete dataset; use --overwrite to replace it")
    if part is None and not overwrite and not resume and destination.objects:
        raise DatasetError(
            f"{storage.root} is not empty; use --overwrite to replace an existing dataset, --resume (of convert and "
            "merge) to continue what was interrupted, or choose another path"
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
    if overwrite:
        _take_back(destination, part)
    return destination


def _file_of(part: str | None) -> str:
    return f"{layout.PARTS}/{part}.json"


def _take_back(destination: Destination, part: str) -> None:
    """Remove what would keep a part from being written again: its own file, and parts of another number of batches.

    All batches may do this at the same time, because none removes what a batch out of the same number has written.
    """
    _, of, count = part.rpartition("-of-")
    destination.storage.delete_all(
        path
        for path in destination.objects
        if is_part(path) and (path == _file_of(part) or (of and not path.endswith(f"{of}{count}.json")))
    )


@contextmanager
def _successor(storage: Storage) -> Iterator[Storage]:
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


def check_options(source: Any, batch: tuple[int, int] | None, windows: Sequence[str], level: int) -> None:
    """Raise UsageError for options of `convert` that are invalid or contradict each other."""
    if batch and windows:
        raise UsageError("--batch and --window cannot be combined; give one of them")
    if batch or windows:
        from bams3.sources.files import WINDOWS, expect_again

        expect_again(uri_of(source), WINDOWS)
    if level not in LEVELS:
        raise UsageError(f"level {level}: choose one from {LEVELS[0]} (fast) to {LEVELS[-1]} (small)")


def check_options_of_reads(
    sort: bool, fixmate: bool, memory: int | str | None, folder: str | None, markdup: Markdup | None, *, in_parts: bool
) -> None:  # fmt: skip
    """Raise UsageError for options of `convert --sort` and `--markdup` that are invalid or contradict each other.

    `in_parts`: whether only some windows are converted.
    """
    if sort and in_parts:
        raise UsageError("--sort cannot be combined with --batch or --window: sorted input has no index")
    if not sort and (fixmate or memory is not None):
        raise UsageError("--fixmate and --memory are options of --sort; add it, or leave them out")
    if markdup:
        markdup.check()
    if markdup and in_parts:
        raise UsageError(
            "--markdup cannot be combined with --batch or --window: a read may be a duplicate of one elsewhere"
        )
    waits = sort or (markdup is not None and markdup.supplementary)
    check_tmp_dir(folder, "--sort and --mark-supplementary", used=waits)


def check_tmp_dir(folder: str | None, options: str, *, used: bool) -> None:
    """Raise UsageError if the folder for temporary files does not exist, or if it is given but not `used`.

    `options`: the options that `--tmp-dir` requires, for the message.
    """
    if folder is not None and not used:
        raise UsageError(f"--tmp-dir is an option of {options}; add it, or leave --tmp-dir out")
    if folder is not None and not os.path.isdir(folder):
        raise UsageError(f"--tmp-dir {folder}: not a folder; create it, or choose another one")


def warn_of_partial_header(reader: DatasetReader) -> None:
    """Print a warning if the new dataset takes over a header that was rebuilt from chunks and may lack lines."""
    if reader.manifest.partial_header and reader.is_whole:
        show(
            reader.uri,
            "its header was rebuilt from chunks and may lack lines; the new dataset has the same header",
        )


@contextmanager
def removed_after_an_error(storage: Storage) -> Iterator[None]:
    """Context manager: after an error, remove what was written, because it can't be continued."""
    try:
        yield
    except BaseException:
        with suppress(Bams3Error, OSError):  # the original error is the one to report
            remove(survey(storage))
        raise
