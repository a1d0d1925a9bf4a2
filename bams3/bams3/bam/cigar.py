"""CIGAR operations (SAM specification, 1.4.6): their letters, indexed by BAM code, and what they consume."""

LETTERS = "MIDNSHP=XB??????"
OF_QUERY = "MIS=X"
"""Operations that consume bases of the read."""
OF_REFERENCE = "MDN=X"
"""Operations that consume positions of the reference."""
