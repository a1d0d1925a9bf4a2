"""What is wrong with a sheet, a configuration or the files that they name."""

from bams3.shown import shown
from bams3.workflow.internals import CliException


class ConfigurationError(CliException):
    """Snakemake prints it as one line, `Error: …`, without the lines of the workflow that it was raised in."""

    def __init__(self, message: object) -> None:
        super().__init__(shown(message))

    @property
    def __traceback__(self) -> None:
        """None: what a user has to change stands in the message, not in the workflow's code."""
        return None
