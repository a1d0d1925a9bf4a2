"""`python -m bams3` is the command line."""

import sys

from bams3.cli import main

sys.exit(main())
