from array import array
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import Buffer

from bams3.bam.records import RecordBlock
from bams3.codec.derived import Derived

class TagEncoder:
    streams: dict[str, Any]
    def __init__(
        self,
        block: RecordBlock,
        placeholders: array[int],
        derived: Derived,
        unspell: Callable[[Any, Any], tuple[Buffer, Buffer]] | None = None,
        pace: Callable[[str, Any, Any, Any], dict[str, Any]] | None = None,
        relate: Callable[[str, Mapping[str, tuple[Any, Any, dict[str, Any]]]], dict[str, Any]] | None = None,
    ) -> None: ...
