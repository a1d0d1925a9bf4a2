"""The commit of a dataset: what must be on the disk before it, and what may fail after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bams3.dataset import layout
from bams3.dataset.manifest import Manifest
from bams3.errors import DatasetError, message_of
from bams3.sources.messages import show
from bams3.storage import Storage


def put_manifest(storage: Storage, put: Callable[[str, bytes], None], manifest: Manifest) -> None:
    """Write the manifest, with the function `put`, so that it can't survive a power cut that destroys other objects.

    Raises OSError if the dataset might not survive a power cut; then the manifest has been removed again.
    """
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
    """Context manager for removals after a commit.

    If one fails, the dataset is complete nevertheless, so only a warning is printed.
    """
    try:
        yield
    except (DatasetError, OSError) as error:
        show(
            place,
            f"complete, but files that it no longer needs could not be removed: {message_of(error)}",
        )
