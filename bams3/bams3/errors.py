"""What can go wrong, in five classes. Every message is one line: what is wrong, where, what to do."""

from bams3.shown import shown


class Bams3Error(Exception):
    """Base of all errors that a user can cause or meet; the command line prints it without a traceback.

    Its text is as `shown` has it, whoever prints it.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


class SourceError(Bams3Error):
    """An input file (BAM, CRAM, SAM, index) is damaged, unsorted, or not what it says."""


class FormatError(Bams3Error):
    """A chunk, an index or a manifest is damaged or of an unknown version or encoding."""


class DatasetError(Bams3Error):
    """A dataset exists, does not exist, is incomplete, or does not match what is asked of it."""


class UsageError(Bams3Error):
    """A region, a filter expression or an option is not valid."""
