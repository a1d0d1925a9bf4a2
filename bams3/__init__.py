"""bams3: alignments as independent, columnar, per-window chunks."""
