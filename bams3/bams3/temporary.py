"""Where temporary files go. Python's `tempfile` decides; it ignores a TMPDIR that it can't write to."""

import os
import tempfile
from functools import cache

from bams3.warned import warn


@cache
def folder() -> str:
    """The folder for temporary files. The first call warns if it is not TMPDIR.

    Raises FileNotFoundError if there is none.
    """
    chosen, wanted = tempfile.gettempdir(), os.environ.get("TMPDIR")
    if wanted and not (os.path.isdir(wanted) and os.access(wanted, os.W_OK | os.X_OK)):
        warn(
            f"TMPDIR is {wanted}, which is not a folder that can be written to; temporary files go to {chosen}"
        )
    return chosen
