"""Errors in a sample sheet, in a configuration, or in the files that they name."""

from bams3.shown import shown
from bams3.workflow.internals import CliException


class ConfigurationError(CliException):
    """An error that Snakemake prints as one line, `Error: …`, without the lines of the workflow that raised it."""

    def __init__(self, message: object) -> None:
        super().__init__(shown(message))

    @property
    def __traceback__(self) -> None:
        """None, because the message says what the user has to change, and the code of the workflow is irrelevant."""
        return None
