"""Warnings: what a user should know of work that is done nevertheless. They go to Python's log."""

from bams3.shown import shown

command = ""
"""What their lines on standard error begin with, such as "bams3 convert: ". Only the command line sets it."""


def warn(text: object) -> None:
    """Log a warning of one line, made safe to show. It goes to standard error, unless a program has set up its log."""
    import logging

    if command and logging.lastResort:
        logging.lastResort.setFormatter(logging.Formatter(f"{command}%(message)s"))
    logging.getLogger("bams3").warning("%s", shown(text))
