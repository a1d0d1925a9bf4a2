"""Alignments and text going out: SAM, BAM and CRAM, and files that are written whole or not at all."""
