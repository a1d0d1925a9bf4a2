"""pysam's samtools, or bcftools, in a separate process: `python -m bams3.sources.samtools [bcftools.]COMMAND …`.

htslib holds Python's lock while it writes, so a thread in the same process could not read its output from a pipe. Also,
damaged input that crashes htslib crashes only this process.
"""

import os
import sys
from importlib import import_module

import pysam

from bams3.errors import message_of
from bams3.sources.reference_cache import search_path


def main(command: str, *arguments: str) -> str | None:
    """Run a command. Its output goes to standard output, and its messages go to standard error.

    Returns an error message if the command failed.
    """
    os.environ["REF_PATH"] = search_path()
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
