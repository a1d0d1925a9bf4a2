"""What htslib says on standard error: what of it means that data are lost, and what is only to be shown."""

import re

TRUNCATED = "the file ends without its end-of-file marker; what is there is taken"
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
"""Of what htslib only warns of, that after which it goes on with other data than the file's."""
PROGRESS = "[bam_sort_core]"
PREFIX = re.compile(r"^(\[[A-Z]::\w+\]|samtools \w+:) *")
OF_INPUT = re.compile(r' (from )?"-"\.?')
OF_REFERENCE = re.compile(r'[Rr]eference (file|"|not found)|(fetch|find|populate|No|load) reference')
MOST = 10
"""Messages that differ, of which no more are kept."""


def show(name: str, said: str) -> None:
    """Warn of a file, whose data are taken nevertheless."""
    import logging

    logging.getLogger(__name__).warning("%s: %s", name, said)


class Messages:
    """The lines that samtools writes, as they come; each of them once.

    `truncated`: one said that the marker of a file's end is missing, which `allow_truncated` accepts.
    """

    def __init__(self, allow_truncated: bool | None = None) -> None:
        self.truncated = False
        self._allow_truncated = allow_truncated
        self._rest = b""
        self._said: dict[str, str] = {}  # what → W(arning), E(rror), or nothing of either
        self._more = 0

    def take(self, data: bytes, *, last: bool = False) -> str | None:
        """Take what came next. What says that data are lost, if something in it does."""
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
        """What is to be shown when all went well."""
        more = [f"{self._more} more messages"] if self._more else []
        return [text for text, kind in self._said.items() if kind != "E"] + more

    def error(self) -> str | None:
        """What is said to be wrong, first."""
        return next((text for text, kind in self._said.items() if kind == "E"), None)

    def reason(self) -> str:
        """One line of why samtools failed: the first two messages say most, and warnings little."""
        wrong = [text for text, kind in self._said.items() if kind != "W" or text.startswith("Parse error")]
        reason = "; ".join((wrong or list(self._said))[:2]) or "it crashed"
        if any(OF_REFERENCE.search(text) for text in self._said):
            reason += "; give the FASTA that the CRAM was made with (-T)"
        return reason
