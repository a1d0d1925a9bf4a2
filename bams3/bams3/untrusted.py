"""Documents that others wrote, parsed within bounds: whatever is wrong with one is a ValueError."""

import json
from typing import Any

FREE = 16 << 20  # bytes that any document may inflate to …
RATIO = 200  # … and so many times its size, which is beyond what chunks and datasets hold


def parse_json(data: bytes) -> Any:
    """The value of a JSON document. Raises ValueError, also where it is nested too deep or too large for the memory."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except MemoryError:
        raise ValueError(f"no memory for its {len(data)} bytes") from None


def inflate(stored: bytes, most: int) -> bytes:
    """What one zstd frame holds: `most` bytes, and no more than its size allows. Raises ValueError."""
    import zstandard

    most = min(most, FREE + RATIO * len(stored))
    try:
        size = zstandard.frame_content_size(stored)
        if not 0 <= size <= most:
            raise ValueError(f"it says that it inflates to {size} bytes")
        return zstandard.ZstdDecompressor().decompress(stored)
    except MemoryError:
        raise ValueError(f"no memory for {size} bytes") from None
    except zstandard.ZstdError as error:
        raise ValueError(f"it can't be inflated ({error})") from None
