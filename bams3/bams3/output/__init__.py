"""Output of alignments (SAM, BAM and CRAM) and text, to files that are written completely or not at all."""
