"""Messages of htslib on standard error: some mean that data are lost, others are only shown."""

import re

from bams3.warned import warn

TRUNCATED = "the file ends without an end-of-file marker; the records it has are converted"
END_MISSING = "EOF marker is absent"
LOSSY = (
    # sam.c, hts.c: records and headers
    "treated as unmapped",
    "Unexpected NUL character in header",
    "Could not set offset end for region",
    "unknown reference name",
    # cram_decode.c
    "More than one TD block",
    "Unrecognised preservation map key",
    "Unrecognised key",
    "defined more than once",
    "Ref pos outside of ref sequence boundary",
    "Slice starts before base 1",
    "Slice ends beyond reference end",
)
"""Warnings after which htslib continues with data that differ from those in the file."""
PROGRESS = "[M::bam2fq_mainloop]"
PREFIX = re.compile(r"^(\[[A-Z]::\w+\]|samtools \w+:) *")
OF_INPUT = re.compile(r' (from )?"-"\.?')
OF_REFERENCE = re.compile(r'[Rr]eference (file|"|not found)|(fetch|find|populate|No|load) reference')
MOST = 10
"""Maximum number of distinct messages that are kept."""


def show(name: str, said: str) -> None:
    """Print a warning about a file whose data are used nevertheless."""
    warn(f"{name}: {said}")


class Messages:
    """The lines that samtools writes, in order. Repeated lines are kept only once.

    `truncated`: whether a line reported that the end-of-file marker is missing, which `allow_truncated` accepts.
    """

    def __init__(self, allow_truncated: bool | None = None) -> None:
        self.truncated = False
        self._allow_truncated = allow_truncated
        self._rest = b""
        self._said: dict[str, str] = {}  # level of each message: W(arning), E(rror), or empty
        self._more = 0

    def take(self, data: bytes, *, last: bool = False) -> str | None:
        """Process the next output. Return a message that means that data are lost, if there is one."""
        lines = (self._rest + data).split(b"\n")
        self._rest = b"" if last else lines.pop()
        lost = None
        for line in lines:
            said = line.decode("utf-8", "backslashreplace").strip()
            if said and not said.startswith(PROGRESS):
                lost = lost or self._keep(said)
        return lost

    def _keep(self, said: str) -> str | None:
        text = OF_INPUT.sub("", PREFIX.sub("", said))
        if END_MISSING in text and self._allow_truncated:
            self.truncated = True
            return None
        if len(self._said) < MOST or text in self._said:
            self._said[text] = said[1] if said[1:].startswith(("W::", "E::")) else ""
        else:
            self._more += 1
        return text if END_MISSING in text or any(part in text for part in LOSSY) else None

    def warnings(self) -> list[str]:
        """Messages to show after success."""
        more = [f"{self._more} more messages"] if self._more else []
        return [text for text, kind in self._said.items() if kind != "E"] + more

    def __bool__(self) -> bool:
        """Whether there is any message."""
        return bool(self._said)

    def error(self) -> str | None:
        """The first error message."""
        return next((text for text, kind in self._said.items() if kind == "E"), None)

    def reason(self) -> str:
        """Return why samtools failed, in one line: its first two messages, with errors before warnings."""
        wrong = [text for text, kind in self._said.items() if kind != "W" or text.startswith("Parse error")]
        reason = "; ".join((wrong or list(self._said))[:2]) or "it crashed"
        if any(OF_REFERENCE.search(text) for text in self._said):
            reason += "; give the FASTA that the CRAM was written with (-T)"
        return reason
