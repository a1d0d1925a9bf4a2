"""Conversions by the command line, and how they fail."""

import signal
import subprocess

KILLED = """
import os, signal, sys
from bams3.cli import main
left = int(sys.argv.pop(1))
def until_killed(appear):
    def replaced(*paths):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        appear(*paths)
    return replaced
os.link, os.replace, os.rename = map(until_killed, (os.link, os.replace, os.rename))
sys.exit(main())
"""
"""A program that kills itself instead of giving the n-th file or folder its place; n comes before bams3's words."""


def fails(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error."""
    assert result.returncode not in (0, -signal.SIGSEGV), result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("bams3 "), lines
    return lines[0]
