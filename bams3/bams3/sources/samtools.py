"""pysam's samtools, or bcftools, in a separate process: `python -m bams3.sources.samtools [bcftools.]COMMAND …`.

htslib holds Python's lock while it writes, so a thread in the same process could not read its output from a pipe. Also,
damaged input that crashes htslib crashes only this process.
"""

import os
import sys
from importlib import import_module

import pysam

from bams3.errors import message_of

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


def main(command: str, *arguments: str) -> str | None:
    """Run a command. Its output goes to standard output, and its messages go to standard error.

    Returns an error message if the command failed.
    """
    if not os.environ.get("REF_PATH"):  # otherwise, old versions query a server, which may never answer
        os.environ["REF_PATH"] = f"{CACHE}/hts-ref/%2s/%2s/%s"
    module, _, name = command.rpartition(".")
    run = getattr(import_module(f"pysam.{module}") if module else pysam, name)
    try:
        run(*arguments, catch_stdout=False)
    except pysam.utils.SamtoolsError as error:
        return str(error.value).partition("stderr=")[2].strip()
    except OSError as error:  # from temporary files
        return message_of(error)
    sys.stderr.write(run.get_messages())
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
