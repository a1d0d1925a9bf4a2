from bams3.bam.merged_header import Translation
from bams3.bam.records import RecordBlock

class Translator:
    lost: dict[tuple[str, bytes], bytes]
    def __init__(self, translation: Translation) -> None: ...
    def translated(self, block: RecordBlock) -> RecordBlock: ...
