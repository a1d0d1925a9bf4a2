"""Conversions by the command line, and how they fail."""

import signal
import subprocess


def fails(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error."""
    assert result.returncode not in (0, -signal.SIGSEGV), result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("bams3 "), lines
    return lines[0]
