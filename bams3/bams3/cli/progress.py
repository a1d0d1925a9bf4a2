"""bams3 progress."""

import json
import sys
import time
from typing import Any

from bams3.cli.options import add_help
from bams3.cli.parser import parser
from bams3.shown import shown


def run(command: str, argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser(
        command, "Show the progress of the workflow run that writes to a folder of results.",
        "  bams3 progress results\n  watch bams3 progress s3://bucket/cohort/results",
    )  # fmt: skip
    options.add_argument("results", metavar="RESULTS", help="the workflow's results folder, or its URI")
    options.add_argument("--json", action="store_true", help="print the whole state as JSON")
    add_help(options)
    args = options.parse_args(argv)

    from bams3.progress.run import duration, line, read_state

    state = read_state(args.results)
    if args.json:
        json.dump(state, sys.stdout, indent=1)
        print()
        return 0
    age = time.time() - state["updated"]
    print(shown(line(state)) + ("" if state["ended"] else f" (as of {duration(age)} ago)"))
    _print_rules(state)
    for failure in state["failed"]:
        wildcards = ", ".join(failure["wildcards"].values())
        row = f"failed: {failure['rule']} {wildcards}".rstrip(), *failure["logs"]
        print(*map(shown, row), sep="\t")
    return 0


def _print_rules(state: dict[str, Any]) -> None:
    """Print a row for each rule that has jobs. The seconds are the mean duration of its finished jobs."""
    print("rule", "jobs", "done", "running", "seconds", sep="\t")
    for rule, of in state["rules"].items():
        mean = f"{of['seconds'] / of['done']:.1f}" if of["done"] else "."
        print(*map(shown, (rule, of["jobs"], of["done"], of["running"], mean)), sep="\t")
