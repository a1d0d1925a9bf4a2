"""CIGAR operations (SAM specification, 1.4.6): their letters, by BAM's codes, and what they take."""

LETTERS = "MIDNSHP=XB??????"
OF_QUERY = "MIS=X"
"""Those that take bases of the read."""
OF_REFERENCE = "MDN=X"
"""Those that take positions of the reference."""
