"""Where htslib looks for a sequence by its checksum (M5), before it opens the FASTA that the header names (UR)."""

import os
import re

_FOLDER = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


def search_path() -> str:
    """Return REF_PATH. Without a default of bams3, old versions of htslib query a server, which may never answer."""
    return os.environ.get("REF_PATH") or f"{_FOLDER}/hts-ref/%2s/%2s/%s"


def may_have(checksum: str) -> bool:
    """Tell whether htslib finds the sequence with this checksum, as far as can be known without asking servers."""
    path = search_path()
    patterns = [os.environ.get("REF_CACHE", ""), *path.split(":")]
    return "://" in path or any(os.path.isfile(_expanded(each, checksum)) for each in patterns if each)


def _expanded(pattern: str, checksum: str) -> str:
    """Replace `%2s` by the next two characters of the checksum, and `%s` by the remaining ones, or append these."""

    def next_part(width: re.Match[str]) -> str:
        nonlocal checksum
        length = int(width[1] or len(checksum))
        part, checksum = checksum[:length], checksum[length:]
        return part

    path = re.sub(r"%(\d*)s", next_part, pattern)
    return f"{path}/{checksum}" if checksum else path
