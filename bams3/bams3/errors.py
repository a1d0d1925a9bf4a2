"""The five classes of errors. Every message is one line that says what is wrong, where, and what to do."""

import errno

from bams3.shown import shown


class Bams3Error(Exception):
    """Base class of all errors that a user can cause or encounter.

    The command line prints them without a traceback. `str` passes the text through `shown`.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


class SourceError(Bams3Error):
    """An input file (BAM, CRAM, SAM, index) is damaged, unsorted, or not of the format it claims to be."""


class FormatError(Bams3Error):
    """A chunk, an index or a manifest is damaged, or has an unknown version or encoding."""


class DatasetError(Bams3Error):
    """A dataset exists already, does not exist, is incomplete, or does not match the request."""


class UsageError(Bams3Error):
    """A region, a filter expression or an option is invalid."""


def message_of(error: Exception) -> str:
    """Return the message of an error for users; for an OSError, the file and the system's message."""
    if not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    advice = "; raise the limit (ulimit -n)" if error.errno == errno.EMFILE else ""
    return f"{where}{error.strerror or error}{advice}"
