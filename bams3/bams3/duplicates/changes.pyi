from bams3.bam.records import RecordBlock
from bams3.duplicates.marks import Marks

def changed(
    block: RecordBlock, marks: Marks, *, remove: bool = False, clear: bool = False
) -> RecordBlock: ...
