"""Standard input, which a command can read only once."""

from bams3.errors import UsageError

NAMES = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

_taken: bool | None = None
"""Whether the command already reads standard input. None outside of commands, where programs may replace it."""


def watch(of_command: bool) -> None:
    """Begin or end a command. Within a command, `take` refuses standard input as a second input."""
    global _taken
    _taken = False if of_command else None


def take(path: str = "-") -> bool:
    """Tell whether a path is standard input. Raises UsageError if the command already reads standard input."""
    global _taken
    if path not in NAMES:
        return False
    if _taken:
        raise UsageError(
            "two inputs of the command are standard input, which can be read only once; give one of them as a file"
        )
    if _taken is False:
        _taken = True
    return True
