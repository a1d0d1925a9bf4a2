"""The moment from which a dataset exists: what must be on the disk before it, and what may fail after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bams3.dataset import layout
from bams3.dataset.manifest import Manifest
from bams3.errors import DatasetError, message_of
from bams3.sources.messages import show
from bams3.storage import Storage


def put_manifest(storage: Storage, put: Callable[[str, bytes], None], manifest: Manifest) -> None:
    """Have `put` write the manifest, so that no power cut leaves it without the rest. Raises OSError, and the dataset
    does not exist, if it may not survive one."""
    storage.sync()
    put(layout.METADATA, manifest.to_bytes())
    try:
        storage.sync()
    except OSError:
        with suppress(OSError):  # the original error is the one to report
            storage.delete(layout.METADATA)
        raise


@contextmanager
def tidying(place: str) -> Iterator[None]:
    """Context manager for what is removed after a commit: if that fails, the dataset is complete all the same, and a
    warning says what is left."""
    try:
        yield
    except (DatasetError, OSError) as error:
        show(
            place,
            f"complete, but files that it no longer needs could not be removed: {message_of(error)}",
        )
