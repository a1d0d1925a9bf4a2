"""The FLAG bits (SAM specification, 1.4.2) under samtools' names."""

PAIRED = 0x1
PROPER_PAIR = 0x2
UNMAP = 0x4
MUNMAP = 0x8
REVERSE = 0x10
MREVERSE = 0x20
READ1 = 0x40
READ2 = 0x80
SECONDARY = 0x100
QCFAIL = 0x200
DUP = 0x400
SUPPLEMENTARY = 0x800

NAMES = {name: bit for name, bit in globals().items() if name.isupper()}
"""FLAG bits by name, lowest bit first."""
NOT_COUNTED = UNMAP | SECONDARY | QCFAIL | DUP
"""1796: the FLAG bits of reads that samtools and mosdepth do not count by default."""
