"""Warnings: problems that users should know about, although the work goes on. They go to Python's log."""

from bams3.shown import shown

command = ""
"""The beginning of lines on standard error, such as "bams3 convert: ". Only the command line sets it."""


def warn(text: object) -> None:
    """Log a warning of one line, made safe to show. It goes to standard error, unless a program has set up its log."""
    import logging

    if command and logging.lastResort:
        logging.lastResort.setFormatter(logging.Formatter(f"{command}%(message)s"))
    logging.getLogger("bams3").warning("%s", shown(text))
