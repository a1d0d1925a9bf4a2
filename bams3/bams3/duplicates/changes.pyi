from bams3.bam.records import RecordBlock

def changed(
    block: RecordBlock, marks: bytes, *, remove: bool = False, clear: bool = False
) -> RecordBlock: ...
