"""Errors in a sheet, a configuration or the files that they name."""

from bams3.shown import shown
from bams3.workflow.internals import CliException


class ConfigurationError(CliException):
    """Snakemake prints it as one line, `Error: …`, without the lines of the workflow that raised it."""

    def __init__(self, message: object) -> None:
        super().__init__(shown(message))

    @property
    def __traceback__(self) -> None:
        """None: the message says what the user has to change; the workflow's code is irrelevant."""
        return None
