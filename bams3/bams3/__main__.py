"""Run the command line: `python -m bams3`."""

import sys

from bams3.cli import main

sys.exit(main())
