"""Alignments coming in: whatever the format, a source gives the header and blocks of validated BAM records."""
