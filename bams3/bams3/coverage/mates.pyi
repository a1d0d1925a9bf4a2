from array import array
from typing import Any

class MateEnds:
    def clip(self, group: Any, mask: bytearray) -> array[int]: ...
