"""Alignments coming in: whatever a file is, it gives the header and blocks of validated BAM records."""
