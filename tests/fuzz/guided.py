"""Texts for one parser, chosen by atheris (libFuzzer): those that reach new code of Python are changed further.

    pip install atheris; cd tests; PYTHONPATH=support python -m fuzz.guided filter -max_total_time=60

Options are those of libFuzzer. What ran in kernels is not seen: for these, there is `make fuzz-long`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bams3"]):
    from bams3.errors import Bams3Error

    from fuzz.texts import PARSERS, read_text


def main(name: str, *options: str) -> None:
    """Read texts until an option says that it is enough, or one is not read as it should be."""
    parser = PARSERS[name]

    def read(data: bytes) -> None:
        with suppress(Bams3Error):
            read_text(parser.read, data)

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(parser.texts):
            Path(folder, str(number)).write_bytes(text)
        atheris.Setup([sys.argv[0], *options, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
