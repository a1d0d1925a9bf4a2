"""Output of alignments and text: SAM, BAM and CRAM, in files that are written completely or not at all."""
